"""Decisions and the audit trail as resources, and answers that are not sent twice."""

import pytest

APPROVE = {"kind": "approve", "version": 1}


@pytest.fixture
def decided(signed_in):
    """Two decisions: one at the north site, one at the south."""
    ben = signed_in("ben")
    for number in (2, 5):
        path = f"/v1/recommendations/rec-{number:02d}/decision"
        assert ben.post(path, json=APPROVE, headers={"X-CSRF-Token": ben.csrf_token}).status_code == 200
    return ben


def test_decisions_are_listed_oldest_first_within_the_callers_sites(decided, client, key):
    everything = decided.get("/v1/decisions").json()["items"]
    assert [(one["recommendation_id"], one["decided_by"], one["kind"]) for one in everything] == [
        ("rec-02", "Ben", "approve"), ("rec-05", "Ben", "approve")
    ]  # fmt: skip
    south = client.get("/v1/decisions", headers=key("recommendations:read", sites=["south"])).json()["items"]
    assert [one["recommendation_id"] for one in south] == ["rec-05"]
    assert decided.get("/v1/decisions?recommendation_id=rec-05").json()["items"] == everything[1:]
    assert decided.get("/v1/decisions?updated_since=2026-11-23T09:00:01Z").json()["items"] == []


def test_pages_go_on_by_number(decided):
    first = decided.get("/v1/decisions?limit=1").json()
    second = decided.get("/v1/decisions", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [one["recommendation_id"] for one in first["items"] + second["items"]] == ["rec-02", "rec-05"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("value", ['"1"', "true", "1.5", "99999999999", "null"])
def test_a_cursor_with_another_kind_of_number_is_refused(decided, value):
    import base64

    cursor = base64.urlsafe_b64encode(f'{{"decision_id":{value}}}'.encode()).decode().rstrip("=")
    assert decided.get(f"/v1/decisions?cursor={cursor}").status_code == 422


def test_the_audit_trail_says_before_and_after_to_those_who_may_read_it(decided, client, key, signed_in):
    assert decided.get("/v1/audit-events").status_code == 403
    assert client.get("/v1/audit-events", headers=key("recommendations:read")).status_code == 403
    found = signed_in("ada").get("/v1/audit-events?subject=recommendation:rec-02").json()["items"]
    assert [(one["action"], one["actor_name"], one["before"]["status"], one["after"]["status"]) for one in found] == [
        ("recommendation.approve", "Ben", "proposed", "approved")
    ]
    assert found[0]["request_id"]
    limited = client.get("/v1/audit-events", headers=key("audit:read", sites=["south"])).json()["items"]
    assert [one["subject"] for one in limited] == ["recommendation:rec-05"]


def test_no_event_holds_a_secret(signed_in, key):
    text = signed_in("ada").get("/v1/audit-events?limit=500").text + str(key("stock:write"))
    told = signed_in("ada").get("/v1/audit-events?limit=500").text
    assert "user.add" in told
    assert "key.add" in told
    for secret in ("argon2", "password", "secret_sha256", text.rsplit("_", 1)[-1].rstrip("'}")):
        assert secret not in told


def test_an_answer_that_did_not_change_is_not_sent_again(client, key, signed_in):
    headers = key("recommendations:read")
    first = client.get("/v1/recommendations", headers=headers)
    tag = first.headers["ETag"]
    again = client.get("/v1/recommendations", headers=headers | {"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    ben = signed_in("ben")
    ben.post("/v1/recommendations/rec-02/decision", json=APPROVE, headers={"X-CSRF-Token": ben.csrf_token})
    changed = client.get("/v1/recommendations", headers=headers | {"If-None-Match": tag})
    assert (changed.status_code, changed.headers["ETag"] == tag) == (200, False)
    assert len(changed.json()["items"]) == len(first.json()["items"]) + 1


def test_a_tag_of_somebody_who_may_not_read_gives_nothing_away(client, key):
    tag = client.get("/v1/recommendations", headers=key("recommendations:read")).headers["ETag"]
    assert client.get("/v1/recommendations", headers={"If-None-Match": tag}).status_code == 401
    assert client.get("/v1/recommendations", headers=key("stock:write") | {"If-None-Match": tag}).status_code == 403
