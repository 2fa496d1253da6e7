"""`pgx-supply demo`: what a newcomer sees first."""

import re

import pytest

pytestmark = pytest.mark.slow


def test_the_demo_ends_with_recommendations_and_where_to_look_and_a_second_one_says_the_same(desk):
    first = desk.succeed("demo")
    assert first.stderr == ""
    lines = [line.strip() for line in first.stdout.splitlines()]
    (title,) = [at for at, line in enumerate(lines) if re.fullmatch(r"Today's top 10 of \d+ recommendations", line)]
    table = lines[title + 1 : lines.index("", title)]
    assert "site" in table[0]
    assert len(table) == 1 + 10
    assert all(re.match(r"H0\d ", line) for line in table[1:])
    assert "The first in words: " in first.stdout
    assert "http://127.0.0.1:8000" in first.stdout.splitlines()[-1]
    before = desk.rows("recommendations")
    assert desk.succeed("demo").stdout == first.stdout
    assert desk.rows("recommendations") == before


def test_the_demo_does_not_mix_with_a_hospitals_own_data(desk, network_files):
    own = network_files["facilities"].assign(name=["Our Own Hospital", "Two", "Three"])
    desk.write_bundle(network_files | {"facilities": own})
    desk.succeed("load", "bundle")
    before = desk.counts()
    assert "not the demo: name another with --database" in desk.fail("demo")
    assert desk.counts() == before
