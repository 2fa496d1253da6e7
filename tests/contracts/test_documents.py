"""Pages of `docs/` and the README: each is in the site's menu, each relative link resolves, decisions are numbered."""

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
DECISION = re.compile(r"^### ([A-Z]\d+) .+$", flags=re.MULTILINE)


def headings(page):
    """The headings of a page, outside its code blocks."""
    return re.findall(r"^#+ (.+)$", without_code(page.read_text(encoding="utf-8")), flags=re.MULTILINE)


def without_code(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchor(heading):
    """The anchor of a heading, by the rule that the site and GitHub share."""
    plain = re.sub(r"[^\w\s-]", "", heading.replace("`", "").lower())
    return re.sub(r"\s+", "-", plain.strip())


def links(page):
    """Targets of a page's links and images that are relative: (path or "", anchor or "")."""
    text = re.sub(r"`[^`\n]*`", "", without_code(page.read_text(encoding="utf-8")))
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [unquote(one).partition("#")[::2] for one in targets if not re.match(r"[a-z]+:", one)]


def named(menu):
    """The pages of the site's menu, in its order."""
    for entry in menu:
        (target,) = entry.values()
        yield from named(target) if isinstance(target, list) else [target]


def test_every_page_is_in_the_menu_of_the_site_once():
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(named(menu)) == [str(page.relative_to(DOCS)) for page in PAGES]


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_relative_link_resolves(page):
    broken = []
    for path, place in links(page):
        target = (page.parent / path).resolve() if path else page
        found = target.exists() and (page.parent == ROOT or target.is_relative_to(DOCS))
        if not found or (place and place not in map(anchor, headings(target))):
            broken.append(f"{path}#{place}" if place else path)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_source_file_that_a_page_names_exists(page):
    text = without_code(page.read_text(encoding="utf-8"))
    named = re.findall(r"`((?:api|assets|benchmarks|forecasting|tests|warehouse)/[\w/]+(?:\.py)?)`", text)
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_decisions_have_a_number_of_their_own_and_the_index_names_each_in_order():
    text = (DOCS / "decisions.md").read_text(encoding="utf-8")
    titles = [match.group(0).removeprefix("### ") for match in DECISION.finditer(text)]
    assert titles == [one for one in headings(DOCS / "decisions.md") if re.match(r"[A-Z]\d", one)]
    assert [number for number, times in Counter(DECISION.findall(text)).items() if times > 1] == []
    assert re.findall(r"^\* \[(.+)\]\(#(.+)\)$", text, flags=re.MULTILINE) == [(one, anchor(one)) for one in titles]
