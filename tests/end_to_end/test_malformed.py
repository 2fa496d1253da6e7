"""Malformed bundle files through the command: each is named with its place and rule, and everything else loads."""

import pytest

WHOLE = {"facilities", "products", "suppliers", "ancestry", "assays", "testing_coverage", "dispensing", "open_orders"}
"""Tables that load whatever happens to the stock file."""


def _edit(change):
    def spoil(folder):
        file = folder / "stock.csv"
        lines = file.read_text(encoding="utf-8").splitlines()
        change(lines)
        file.write_text("\n".join([*lines, ""]), encoding="utf-8")

    return spoil


def _cell(column, value):
    def change(lines):
        fields = lines[1].split(",")
        fields[lines[0].split(",").index(column)] = value
        lines[1] = ",".join(fields)

    return _edit(change)


def _without_column(name):
    def change(lines):
        at = lines[0].split(",").index(name)
        lines[:] = [",".join(field for place, field in enumerate(line.split(",")) if place != at) for line in lines]

    return _edit(change)


@_edit
def _birthdays(lines):
    lines[:] = [f"{line},{'date_of_birth' if number == 0 else '1970-01-01'}" for number, line in enumerate(lines)]


def _empty(folder):
    (folder / "stock.csv").write_bytes(b"")


def _latin(folder):
    file = folder / "stock.csv"
    file.write_bytes(file.read_bytes().replace(b"H01", "H\u00f6l".encode("latin-1"), 1))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without_column("quantity"), ["stock.csv", "quantity"]),
        (_empty, ["stock.csv", "empty"]),
        (_latin, ["stock.csv", "not UTF-8", "line 2"]),
        (_birthdays, ["stock.csv", "date_of_birth"]),
    ],
    ids=["missing column", "empty file", "wrong encoding", "a date of birth"],
)
def test_a_file_that_cannot_be_used_is_refused_by_name_and_the_others_load(desk, network_files, loaded, spoil, said):
    spoil(desk.write_bundle(network_files))
    done = desk.run("load", "bundle")
    assert done.returncode == 1
    (refusal,) = [line for line in done.stderr.splitlines() if line.startswith("refused: ")]
    assert all(word in refusal for word in said), refusal
    assert "Traceback" not in done.stderr
    assert "1970-01-01" not in done.stdout + done.stderr
    counts, wanted = desk.counts(), loaded.counts()
    assert counts["stock"] == 0
    assert {name: counts[name] for name in WHOLE} == {name: wanted[name] for name in WHOLE}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_cell("quantity", "many"), ["stock.csv, line 2, quantity = 'many'"]),
        (_cell("facility_id", "H99"), ["stock.csv, line 2, facility_id = 'H99'"]),
        (_edit(lambda lines: lines.append(lines[1])), ["stock.csv, line 118"]),
    ],
    ids=["wrong type", "unknown site", "duplicate key"],
)
def test_a_bad_row_is_named_by_file_line_column_value_and_rule_and_the_others_load(
    desk, network_files, loaded, spoil, said
):
    spoil(desk.write_bundle(network_files))
    done = desk.succeed("load", "bundle")
    rejected = [line for line in done.stderr.splitlines() if line.startswith("rejected: ")]
    assert rejected
    assert any(all(words in line for words in said) for line in rejected), rejected
    assert desk.counts()["stock"] >= loaded.counts()["stock"] - len(rejected)
    assert desk.counts()["rejected_rows"] == len(rejected)
    assert desk.rows("dispensing") == loaded.rows("dispensing")


def test_a_negative_pack_size_is_rejected_with_what_refers_to_the_product(desk, network_files):
    products = network_files["products"].copy()
    products.loc[0, "pack_size"] = -28
    desk.write_bundle(network_files | {"products": products})
    done = desk.succeed("load", "bundle")
    assert "products.csv, line 2, pack_size = '-28'" in done.stderr
    assert "20" not in done.stdout.split("products.csv -> products: ")[1].split(" accepted")[0]
    assert desk.counts()["products"] == len(products) - 1
    kept = network_files["dispensing"].query("product_id != @products.product_id[0]")
    assert desk.counts()["dispensing"] == len(kept)
