"""The page of orders: the button hands off once, by those who may, and says what happened."""

import re

import sqlalchemy as sa

from warehouse.queries.lines import table


def form_of(browser, **changes):
    html = browser.get("/orders").text
    values = {name: re.search(rf'name="{name}" value="([^"]+)"', html)[1] for name in ("csrf_token", "idempotency_key")}
    return values | changes


def lines_ordered(engine):
    with engine.begin() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table("order_lines"))).scalar_one()


def test_the_form_sent_twice_orders_once_and_a_new_one_finds_nothing(signed_in, database):
    ben = signed_in("ben")
    form = form_of(ben, account_type="340b")
    first = ben.post("/orders", data=form)
    assert (first.status_code, ben.post("/orders", data=form).headers["location"]) == (303, first.headers["location"])
    assert lines_ordered(database) == 2
    late = ben.post("/orders", data=form | {"idempotency_key": "another-key-of-a-form"})
    assert late.status_code == 409
    assert "Nothing was ordered" in late.text
    shown = ben.get(first.headers["location"]).text
    assert "PGX00000002" in shown
    assert "each line once" in shown
    order = ben.get("/orders/PGX00000002").text
    assert "ondansetron 4 mg ampoule, pack of 5" in order
    assert "340B" in order
    assert ben.get("/v1/orders/PGX00000002/document?format=x12-850").status_code == 200


def test_one_supplier_alone(signed_in, database):
    ben = signed_in("ben")
    ben.post("/orders", data=form_of(ben, supplier_id="beta"))
    assert lines_ordered(database) == 1
    assert "Alpha Wholesale" in ben.get("/orders").text


def test_who_may_not(signed_in, client, database):
    ben, vera, nora = signed_in("ben"), signed_in("vera"), signed_in("nora")
    form = form_of(ben)
    assert "Order what is approved" not in vera.get("/orders").text
    assert vera.post("/orders", data=form | {"csrf_token": vera.csrf_token}).status_code == 403
    assert ben.post("/orders", data=form | {"csrf_token": "of-somebody-else"}).status_code == 403
    assert ben.post("/orders", data=form | {"account_type": "cash"}).status_code == 422
    assert ben.post("/orders", data=form | {"idempotency_key": "x"}).status_code == 422
    assert client.get("/orders").headers["location"].startswith("/sign-in")
    assert lines_ordered(database) == 0
    # nora sees and orders the north site only
    nora.post("/orders", data=form_of(nora))
    assert lines_ordered(database) == 1
    ben.post("/orders", data=form)
    assert nora.get("/orders/PGX00000001").status_code == 200
    assert nora.get("/orders/PGX00000002").status_code == 404
    assert "PGX00000002" not in nora.get("/orders").text
    assert nora.get("/orders?exported=exp-00000002").status_code == 404
