"""The tutorial, from the page itself: its files in an empty folder, its commands, and the output that it shows."""

import doctest
import html
import re
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.conftest import COMMAND, PASSWORD, hidden

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', flags=re.MULTILINE | re.DOTALL)


def test_the_files_commands_and_outputs_of_the_tutorial(desk):
    """Each fenced block in the order of the page: a file is saved, a console is run and must say what is shown."""
    for language, title, text in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        if title:
            file = desk.folder / title
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        elif language == "console":
            for command, shown in commands(text):
                follow(desk, command, shown)


def commands(console):
    """(command, output shown) of a console block."""
    return [tuple(part.split("\n", 1)) for part in console.split("$ ")[1:]]


def follow(desk, command, shown):
    """Run one command; the server is asked what the page asks the reader to do, and ended."""
    if command == "pgx-supply serve":
        with desk.serve() as (_, url), desk.browser(url, "ama") as (browser, worklist):
            approve_and_order(desk, url, browser, worklist)
        return
    output = run(desk, command)
    if shown:
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert doctest.OutputChecker().check_output(shown, output, flags), f"$ {command}\n{output}"


def run(desk, command):
    """What a command says on stdout and stderr; without a terminal it reads the password from stdin."""
    environment = desk.environment()
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=desk.folder,
        env=environment | {"PATH": f"{COMMAND.parent}:{environment['PATH']}"},
        input=f"{PASSWORD}\n{PASSWORD}\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=280,
        start_new_session=True,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}"
    return done.stdout


def approve_and_order(desk, url, browser, worklist):
    """The line's page explains the order as the tutorial quotes it; then the line is approved and ordered."""
    (line,) = set(re.findall(r"/recommendations/(rec-[0-9a-f]+)", worklist))
    quoted = " ".join(re.findall(r"^> (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert quoted in html.unescape(browser.get(f"/recommendations/{line}").text)
    desk.approve(url, browser, line)
    orders = browser.get("/orders").text
    form = {name: hidden(orders, name) for name in ("csrf_token", "idempotency_key")}
    done = browser.post("/orders", data=form, headers={"origin": url})
    (number,) = set(re.findall(r"/orders/(PGX\d+)", done.text))
    document = browser.get(f"/v1/orders/{number}/document", params={"format": "csv"})
    assert "clopidogrel" in document.text
    pressed = re.findall(r"(?:Press|press) \*\*([^*]+)\*\*", PAGE.read_text(encoding="utf-8"))
    assert [name for name in pressed if name not in worklist + orders] == []
