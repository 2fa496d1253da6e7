"""A buyer's morning by keyboard alone, without JavaScript, over a planned network; pictures of every page on the way.

PGX_SUPPLY_SCREENSHOTS names the folder that the pictures go to; else it is `tests/artefacts`.
"""

import os
import shutil
import struct
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.api.conftest import ARGUMENTS, CHROMIUM
from tests.end_to_end.conftest import PASSWORD
from warehouse.schema import Base

pytestmark = [pytest.mark.slow, pytest.mark.browser]

WIDTHS, SCHEMES = (390, 768, 1440), ("light", "dark")
MOST_TABS = 400
TICKED = 10


@pytest.fixture
def page():
    """A page of headless Chromium without JavaScript; it fails the test when the console says anything."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if shutil.which(CHROMIUM) is None:
        pytest.skip(f"{CHROMIUM} is not here")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1440, "height": 900}, java_script_enabled=False)
        opened = context.new_page()
        said = []
        opened.on("console", lambda message: said.append(message.text))
        yield opened
        browser.close()
        assert said == []


class Buyer:
    """Somebody with a keyboard and no mouse."""

    def __init__(self, page, folder):
        self.page, self.folder, self.pictures = page, folder, 0

    def focused(self):
        """What the control with the focus is called: its label, its words, or its name."""
        control = self.page.locator(":focus")
        if control.count() == 0:
            return ""
        label = control.get_attribute("aria-label") or control.inner_text() or control.get_attribute("name") or ""
        return " ".join(label.split())

    def tab_to(self, name, key="Tab"):
        """Press Tab (or Shift+Tab) until the control whose name begins so has the focus."""
        for _ in range(MOST_TABS):
            self.page.keyboard.press(key)
            if self.focused().startswith(name):
                return self.focused()
        return pytest.fail(f"{name!r} was not reached by {key} on {self.page.url}")

    def tab_to_line(self, recommendation_id):
        """Press Tab until the link to that line has the focus."""
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            control = self.page.locator(":focus")
            if control.count() and str(control.get_attribute("href")).endswith(recommendation_id):
                return
        pytest.fail(f"the link to {recommendation_id} was not reached on {self.page.url}")

    def enter(self):
        """Press Enter and wait for the page that it leads to."""
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def type(self, text):
        """Write over what a field holds."""
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def status(self):
        """What the page confirms."""
        return " ".join(self.page.get_by_role("status").first.inner_text().split())

    def keep(self, name, whole=True):
        """Pictures of the page, or of its first screen, at every width, light and dark; no page is wider."""
        self.pictures += 1
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)
                file = self.folder / f"morning-{self.pictures}-{name}-{width}-{scheme}.png"
                self.page.screenshot(path=file, full_page=whole)
                shown = struct.unpack(">I", file.read_bytes()[16:20])[0]
                assert shown == width, f"{name} at {width} px is {shown} px wide"
        self.page.set_viewport_size({"width": 1440, "height": 900})
        self.page.emulate_media(color_scheme="light")


@pytest.fixture
def buyer(page):
    folder = Path(os.environ.get("PGX_SUPPLY_SCREENSHOTS") or Path(__file__).resolve().parents[1] / "artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return Buyer(page, folder)


def test_a_buyer_works_through_the_morning_by_keyboard(buyer, planned, tmp_path):
    desk = planned.copy_to(tmp_path / "desk")
    desk.succeed("user", "add", "ben", "--role", "buyer", given=f"{PASSWORD}\n{PASSWORD}\n")
    top = desk.export("recommendations").iloc[0]
    with desk.serve() as (_, url):
        buyer.page.goto(url)
        buyer.keep("sign-in")
        buyer.tab_to("name")
        buyer.type("ben")
        buyer.tab_to("password")
        buyer.type(PASSWORD)
        buyer.enter()

        # the top line: read, opened, changed with a reason
        buyer.keep("worklist", whole=False)
        first = buyer.page.locator(".lines .what a").first.inner_text()
        buyer.tab_to(first)
        buyer.enter()
        assert str(top["recommendation_id"]) in buyer.page.url
        buyer.keep("line")
        buyer.tab_to("packs")
        packs = int(top["packs"]) + 10
        buyer.type(str(packs))
        buyer.tab_to("Choose a reason")
        buyer.page.keyboard.type("Known change")
        buyer.tab_to("note")
        buyer.type("ward 4 opens ten beds")
        buyer.tab_to("Order this many")
        buyer.enter()
        assert buyer.status().startswith(f"Changed: {first}")
        assert f"{packs:,} packs" in buyer.status()

        # ten more at once
        buyer.tab_to("Tick all")
        for _ in range(TICKED):
            buyer.tab_to("Tick ")
            buyer.page.keyboard.press("Space")
        assert buyer.page.locator("input[type=checkbox][name=line]:checked").count() == TICKED
        buyer.keep("ticked", whole=False)
        buyer.tab_to("Approve ticked", "Shift+Tab")
        buyer.enter()
        assert buyer.status().startswith(f"{TICKED + 1} decisions today")
        buyer.keep("done")

        # one of them was a mistake
        buyer.tab_to("Take back the decision on")
        buyer.enter()
        assert "Taken back" in buyer.page.locator("main").inner_text()

        # the rest is ordered, and found again
        buyer.tab_to("Orders")
        buyer.enter()
        buyer.keep("orders")
        buyer.tab_to("Order what is approved")
        buyer.enter()
        assert buyer.status().startswith("Ordered:")
        buyer.keep("ordered")
        buyer.tab_to("Done today", "Shift+Tab")
        buyer.enter()
        buyer.keep("done-ordered")
        told = buyer.page.locator(".lines tbody tr").all_inner_texts()
        assert sum("Ordered" in row for row in told) == TICKED  # the change and nine approvals
        buyer.tab_to_line(top["recommendation_id"])
        buyer.enter()
        history = " ".join(buyer.page.locator("main").inner_text().split())
        assert "Known change in demand ward 4 opens ten beds" in history
        assert f"{top['packs']} → {packs}" in history
        buyer.keep("history")

    orders, lines = Base.metadata.tables["order_lines"], Base.metadata.tables["recommendations"]
    engine = desk.engine()
    with engine.connect() as connection:
        joined = orders.join(lines, lines.c.recommendation_id == orders.c.recommendation_id)
        query = sa.select(orders.c.recommendation_id, orders.c.packs, lines.c.status).select_from(joined)
        ordered = {name: (sent, status) for name, sent, status in connection.execute(query)}
    engine.dispose()
    assert len(ordered) == TICKED
    assert ordered[top["recommendation_id"]] == (packs, "exported")
    assert {status for _, status in ordered.values()} == {"exported"}
