"""The pages as a person meets them: in a real browser, on a phone and a desk, in light and in dark."""

from pathlib import Path

import pytest

from api.app import create_app
from tests.api.releases.test_releases import fill_releases

pytestmark = pytest.mark.browser

ARTEFACTS = Path(__file__).resolve().parents[2] / "artefacts"


@pytest.fixture
def url(served, database, clock):
    return served(create_app(database, clock=clock))


def _open(chromium, url, width, scheme, name="ben"):
    """A signed-in page without JavaScript, and what the console says."""
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=False
    )
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    # a navigation ends the fetch of the icon of the page before: that is the browser's own doing
    page.on("requestfailed", lambda request: "ABORTED" in request.failure or said.append(request.url))
    page.goto(f"{url}/?facility_id=north")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill("correct horse battery")
    _follow(page, page.get_by_role("button", name="Sign in"))
    return page, said


def _follow(page, control):
    """Click what leads to another page, and wait until that is there with its style sheet."""
    with page.expect_navigation():
        control.click()


def _to(page, name):
    """Go to a page by the menu; on a phone it has to be opened first."""
    if page.viewport_size["width"] < 600:
        page.get_by_label("All pages").check()
    _follow(page, page.get_by_role("link", name=name))


def _keep(page, name):
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_a_buyer_signs_in_reads_why_and_changes_a_quantity(chromium, url, width, scheme):
    page, said = _open(chromium, url, width, scheme)
    assert page.url == f"{url}/?facility_id=north"
    page.goto(url)
    _keep(page, f"worklist-{width}-{scheme}")
    page.locator("summary").first.click()
    _keep(page, f"worklist-open-{width}-{scheme}")
    _follow(page, page.get_by_role("link", name="ticagrelor 90 mg tablet"))
    assert page.get_by_role("img", name="Demand: history and forecast").count() == 1
    _keep(page, f"line-{width}-{scheme}")
    page.get_by_label("Packs", exact=True).fill("13")
    page.get_by_label("Reason").select_option("demand_event")
    _follow(page, page.get_by_role("button", name="Order this many"))
    assert "multiple of 2 packs" in page.get_by_role("alert").inner_text()
    page.get_by_label("Packs", exact=True).fill("14")
    page.get_by_label("Note").fill("<script>alert(1)</script>")
    said.clear()  # the refusal before was a 422, which browsers report
    _follow(page, page.get_by_role("button", name="Order this many"))
    assert "14 packs" in page.get_by_role("status").inner_text()
    _follow(page, page.get_by_role("status").get_by_role("link").first)
    assert page.get_by_text("<script>alert(1)</script>").count() == 1
    _keep(page, f"decided-{width}-{scheme}")
    page.goto(f"{url}/problems")
    _keep(page, f"problems-{width}-{scheme}")
    assert said == []


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1440, "dark")])
def test_a_buyer_approves_ticked_lines_and_takes_one_back(chromium, url, width, scheme):
    page, said = _open(chromium, url, width, scheme)
    page.goto(url)
    boxes = page.get_by_role("main").get_by_role("checkbox")
    proposed = boxes.count()
    for number in range(3):
        boxes.nth(number).focus()
        page.keyboard.press("Space")
    _keep(page, f"worklist-ticked-{width}-{scheme}")
    page.get_by_role("button", name="Approve ticked").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "3 decisions today" in page.get_by_role("status").inner_text()
    _keep(page, f"done-{width}-{scheme}")
    _follow(page, page.get_by_role("button", name="Take back the decision on").first)
    told = page.locator("main").inner_text()
    assert "Taken back" in told
    assert page.get_by_role("button", name="Take back the decision on").count() == 2
    _follow(page, page.get_by_role("link", name="Worklist").last)
    assert boxes.count() == proposed - 2
    assert said == []


def test_no_page_is_wider_than_a_phone(chromium, url):
    page, _ = _open(chromium, url, 390, "light")
    context = chromium.new_context(viewport={"width": 390, "height": 900})
    context.add_cookies(page.context.cookies())
    measured = context.new_page()
    page.goto(f"{url}/orders")
    _follow(page, page.get_by_role("button", name="Order what is approved"))
    paths = (
        "/",
        "/done",
        "/recommendations/rec-01",
        "/problems",
        "/sign-in",
        "/?q=nothing",
        "/orders",
        "/orders/PGX00000001",
    )
    for path in paths:
        measured.goto(url + path)
        assert measured.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_the_console_stays_silent_and_nothing_is_fetched_from_elsewhere(chromium, url):
    page, said = _open(chromium, url, 1440, "light")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for path in ("/", "/recommendations/rec-01", "/problems"):
        page.goto(url + path)
    assert said == []
    assert all(address.startswith(url) for address in asked)


def test_the_keyboard_reaches_the_first_decision_with_focus_visible(chromium, url):
    page, _ = _open(chromium, url, 1440, "light")
    skip = page.get_by_role("link", name="Skip to content")
    assert skip.bounding_box()["x"] < 0
    skip.focus()
    assert skip.bounding_box()["x"] > 0
    page.get_by_role("button", name="Approve 12 packs").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "Approved: ticagrelor" in page.get_by_role("status").inner_text()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "light"), (1280, "dark")])
def test_a_buyer_orders_what_is_approved_and_finds_it_in_the_history(chromium, url, width, scheme):
    page, said = _open(chromium, url, width, scheme)
    _follow(page, page.get_by_role("button", name="Approve 12 packs"))
    _follow(page, page.get_by_role("link", name="Orders"))
    _keep(page, f"orders-waiting-{width}-{scheme}")
    page.get_by_label("Purchase account").select_option("gpo")
    _follow(page, page.get_by_role("button", name="Order what is approved"))
    assert "2 orders, each line once" in page.get_by_role("status").inner_text()
    assert "No approved line waits" in page.locator("main").inner_text()
    _keep(page, f"orders-done-{width}-{scheme}")
    _follow(page, page.get_by_role("status").get_by_role("link", name="PGX00000001"))
    told = page.locator("main").inner_text()
    assert "ticagrelor 90 mg tablet, pack of 56" in told
    assert "GPO" in told
    _keep(page, f"order-{width}-{scheme}")
    page.emulate_media(media="print")
    assert page.get_by_role("heading", name="Documents").is_hidden()
    _keep(page, f"order-print-{width}-{scheme}")
    assert said == []


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "light"), (1280, "dark")])
def test_an_approver_reads_what_a_release_moves_and_puts_it_in_force(chromium, url, database, width, scheme):
    _, new, _ = fill_releases(database)
    page, said = _open(chromium, url, width, scheme, "ada")
    _to(page, "Guidelines")
    _keep(page, f"releases-{width}-{scheme}")
    _follow(page, page.get_by_role("link", name="curated 2026-11"))
    page.get_by_text("By site and product").click()
    told = page.locator("main").inner_text()
    assert "ticagrelor" in told
    assert "300 → 188" in told
    _keep(page, f"release-{width}-{scheme}")
    page.get_by_label("From").fill("2026-11-30")
    page.get_by_label("North General Hospital").check()
    page.get_by_label("Reason").fill("P&T meeting of 19 November")
    _follow(page, page.get_by_role("button", name="Put in force"))
    assert "Put in force from 2026-11-30" in page.get_by_role("status").inner_text()
    assert "P&T meeting of 19 November" in page.locator("main").inner_text()
    _keep(page, f"release-activated-{width}-{scheme}")
    _to(page, "Guidelines")
    assert "from 30 Nov 2026" in page.locator("main").inner_text()
    _keep(page, f"releases-activated-{width}-{scheme}")
    assert said == []


def test_no_page_about_releases_is_wider_than_a_phone(chromium, url, database):
    _, new, _ = fill_releases(database)
    page, _ = _open(chromium, url, 390, "light", "ada")
    context = chromium.new_context(viewport={"width": 390, "height": 900})
    context.add_cookies(page.context.cookies())
    measured = context.new_page()
    for path in ("/releases", f"/releases/{new}"):
        measured.goto(url + path)
        assert measured.evaluate("document.documentElement.scrollWidth") <= 390, path


@pytest.mark.slow
def test_everything_on_the_worklist_is_done_without_javascript(chromium, url):
    """Put off and taken back, given away, said, called routine, approved together, rejected, taken back."""
    ada, said = _open(chromium, url, 1440, "light", "ada")
    ada.goto(f"{url}/routine-rules")
    ada.get_by_label("A line costs at most").fill("60")
    ada.get_by_label("Treatment-days unmet").fill("9")
    ada.get_by_label("Drugs that never are").fill("ondansetron")
    _follow(ada, ada.get_by_role("button", name="Set the rule"))
    page, also_said = _open(chromium, url, 390, "dark")
    page.goto(url)
    page.get_by_label("Tick capecitabine").check()
    page.get_by_label("Tick ondansetron").check()
    page.locator("#bulk summary").click()
    page.get_by_label("Put off until").fill("2026-11-25")
    page.get_by_label("Why").fill("ask the ward first")
    _follow(page, page.get_by_role("button", name="Put off", exact=True))
    _keep(page, "put-off-390-dark")
    _follow(page, page.get_by_role("button", name="Take back all 2"))
    assert "Taken back, now: brought back" in page.locator("main").inner_text()
    page.goto(url)
    page.get_by_label("Tick capecitabine").check()
    page.locator("#bulk summary").click()
    page.get_by_label("or give to").select_option("Ben (buyer)")
    _follow(page, page.get_by_role("button", name="Give", exact=True))
    assert "Given to Ben" in page.get_by_role("status").inner_text()
    _follow(page, page.get_by_role("link", name="Mine 1"))
    _follow(page, page.get_by_role("link", name="capecitabine 500 mg tablet"))
    page.get_by_label("Say something").fill("Ward 4 opens ten beds.\n<b>Soon</b>")
    _follow(page, page.get_by_role("button", name="Add the comment"))
    assert "<b>Soon</b>" in page.locator("#comments").inner_text()
    _keep(page, "commented-390-dark")
    page.goto(f"{url}/?show=routine")
    _keep(page, "routine-390-dark")
    _follow(page, page.get_by_role("button", name="of the routine list"))
    assert "decision" in page.get_by_role("status").first.inner_text()
    page.goto(f"{url}/?ticked=all")
    page.get_by_label("or reject, because").select_option("Budget")
    _follow(page, page.get_by_role("button", name="Reject ticked"))
    assert "Rejected" in page.locator("main").inner_text()
    _follow(page, page.get_by_role("button", name="Take back the decision on").first)
    assert said == also_said == []
