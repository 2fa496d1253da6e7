"""`serve` as a process: a person signs in over HTTP and approves; a system collects exactly that; SIGTERM ends it."""

import signal

import httpx2
import pytest


@pytest.fixture
def working(planned, tmp_path):
    return planned.copy_to(tmp_path / "desk")


def test_a_person_approves_one_line_and_a_system_collects_exactly_that(working):
    proposed = working.export("recommendations")
    chosen = proposed.iloc[0]
    key = working.succeed("key", "add", "stores", "--scope", "recommendations:read").stdout.strip()
    with working.serve() as (process, url):
        assert httpx2.get(f"{url}/readyz").json() == {"status": "ready"}
        assert httpx2.get(f"{url}/v1/recommendations").status_code == 401
        bearer = {"authorization": f"Bearer {key}"}
        assert httpx2.get(f"{url}/v1/recommendations", headers=bearer).json()["items"] == []
        with working.signed_in(url, "ada") as (browser, worklist):
            assert worklist.count('value="approve"') >= min(len(proposed), 10)
            working.approve(url, browser, chosen["recommendation_id"])
        (line,) = httpx2.get(f"{url}/v1/recommendations", headers=bearer).json()["items"]
        assert line["recommendation_id"] == chosen["recommendation_id"]
        assert (line["packs"], line["status"]) == (chosen["packs"], "approved")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{url}/healthz")
    assert "Traceback" not in (working.folder / "serve.log").read_text()


def test_ctrl_c_ends_it_as_quietly(working):
    with working.serve() as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert (working.folder / "serve.log").read_text() == ""


def test_a_password_may_come_on_standard_input(working):
    password = "correct horse battery"
    working.succeed("user", "add", "nora", "--role", "buyer", given=f"{password}\n{password}\n")
    told = working.fail("user", "add", "ben", "--role", "buyer", "--password", "short")
    assert "12" in told
