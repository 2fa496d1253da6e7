"""A site bundle loads whole or says exactly what it refused, and loading it twice changes nothing."""

import datetime as dt
import gzip

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import InvalidInput
from warehouse.frames import records
from warehouse.importers import ingest, load
from warehouse.importers.bundle import TABLE_NAMES
from warehouse.importers.files import read as read_file
from warehouse.schema import Base
from warehouse.store import read

FILES = {
    "facilities": "facility_id,name,population\n007,North,1000\nB,South,2000\n",
    "suppliers": "supplier_id,name,lead_time_days\nS1,Wholesaler,3\n",
    "products": (
        "product_id,drug,strength_value,strength_unit,dose_form,pack_size,pack_price,supplier_id\n"
        "00123,clopidogrel,75,mg,tablet,28,1.20,S1\nP2,ticagrelor,90,mg,tablet,56,54.60,S1\n"
    ),
    "ancestry": "facility_id,biogeographic_group,share\n007,European,0.7\n007,East Asian,0.3\nB,European,1\n",
    "genotype_counts": (
        "facility_id,gene,result_type,result,count,tested\n"
        "007,CYP2C19,phenotype,Normal Metabolizer,400,1000\n007,CYP2C19,phenotype,Poor Metabolizer,,1000\n"
        "007,CYP2C19,phenotype,Rapid Metabolizer,0,1000\n"
    ),
    "assays": "facility_id,gene,alleles_tested\n007,CYP2C19,*2;*3;*17\n",
    "testing_coverage": (
        "facility_id,gene,period_start,share_tested,share_followed,planned\n007,CYP2C19,2026-01-01,0.2,0.6,false\n"
    ),
    "dispensing": (
        "facility_id,product_id,period_start,quantity,patients\n"
        "007,00123,2026-01-05,280,20\n007,00123,2026-01-12,-28,\nB,P2,2026-01-05,56,12\n"
    ),
    "stock": "facility_id,product_id,quantity,counted_at\n007,00123,120,2026-01-12T08:00\n",
    "open_orders": (
        "order_id,facility_id,product_id,packs,ordered_at,expected_at\n"
        "O1,007,00123,5,2026-01-10,2026-01-20\nO2,007,P2,1,2026-01-10,2026-01-20\nO3,B,P2,2,2026-01-10,2026-01-20\n"
    ),
    "receipts": "order_id,product_id,facility_id,ordered_at,received_at,packs\nO0,00123,007,2026-01-01,2026-01-04,5\n",
    "policies": "facility_id,product_id,target_kind,target\n,,fill_rate,0.98\n007,00123,cycle_service,0.95\n",
    "alternatives": "drug,alternative_drug,share\nclopidogrel,ticagrelor,1\n",
    "shortages": "product_id,drug,starts_on\nP2,,2026-02-01\n",
}


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def small(tmp_path):
    """Only the required files."""
    folder = tmp_path / "small"
    folder.mkdir()
    for name in ("facilities", "products", "dispensing"):
        write(folder, name, FILES[name].replace(",S1", ","))
    return folder


@pytest.fixture
def database(new_engine):
    """One kind of database is enough where the rule is not the database's."""
    return new_engine("sqlite")


def contents(engine):
    with engine.connect() as connection:
        tables = {name: Base.metadata.tables[name] for name in TABLE_NAMES}
        return {name: records(read(connection, table), table) for name, table in tables.items()}


def rows(engine, name):
    with engine.connect() as connection:
        return read(connection, Base.metadata.tables[name])


def write(folder, name, text):
    (folder / f"{name}.csv").write_text(text, encoding="utf-8")


def test_products_that_name_a_supplier_load_without_a_suppliers_file(database, small):
    write(small, "products", FILES["products"])
    report = load(database, small)
    assert (report.rejected, report.refused) == (0, ())
    assert rows(database, "products")["supplier_id"].tolist() == ["S1", "S1"]
    notes = [note for one in report.tables for note in one.notes]
    assert "supplier_id is kept as it stands: no suppliers are loaded" in notes


def test_every_input_table_has_a_bundle_file():
    inputs = {name for name, table in Base.metadata.tables.items() if table.info["layer"] == "inputs"}
    assert inputs == set(TABLE_NAMES) == set(FILES)


def test_a_good_bundle_loads_every_row_and_text_keeps_its_zeros(engine, bundle):
    report = load(engine, bundle)
    assert (report.rejected_rows, report.refused, report.messages) == ((), (), ())
    assert {one.table: one.accepted for one in report.tables} == {n: t.count("\n") - 1 for n, t in FILES.items()}
    assert rows(engine, "products")["product_id"].tolist() == ["00123", "P2"]
    assert str(rows(engine, "products")["pack_price"].iloc[0]) == "1.2"
    assert rows(engine, "policies")["facility_id"].tolist() == ["*", "007"]
    assert rows(engine, "dispensing")["quantity"].sum() == 308


def test_loading_the_same_files_again_changes_nothing(engine, bundle):
    write(bundle, "stock", FILES["stock"] + "007,unknown,1,2026-01-12T08:00\n")
    first = load(engine, bundle)
    before, rejected = contents(engine), rows(engine, "rejected_rows")
    second = load(engine, bundle)
    assert second.accepted == 0
    assert second.unchanged == first.accepted
    assert contents(engine) == before
    assert len(rejected) == len(rows(engine, "rejected_rows")) == 1
    assert len(rows(engine, "loads")) == 2 * len(FILES)


def test_a_changed_row_takes_the_place_of_its_predecessor(engine, small):
    load(engine, small)
    write(small, "dispensing", FILES["dispensing"].replace(",280,", ",281,"))
    report = load(engine, small / "dispensing.csv")
    assert (report.accepted, report.unchanged) == (1, 2)
    assert rows(engine, "dispensing")["quantity"].tolist() == [281, -28, 56]


def test_a_crash_in_the_middle_leaves_nothing(engine, bundle, monkeypatch):
    write_part = ingest._write

    def crash(connection, part, typed):
        if part.table.name == "stock":
            raise MemoryError
        return write_part(connection, part, typed)

    monkeypatch.setattr(ingest, "_write", crash)
    with pytest.raises(MemoryError):
        load(engine, bundle)
    assert not any(contents(engine).values())
    assert rows(engine, "loads").empty


def test_parquet_loads_as_the_same_text_would(engine, new_engine, bundle):
    load(engine, bundle)
    other = new_engine("sqlite")
    for name in FILES:
        frame = pd.read_csv(bundle / f"{name}.csv", dtype={"facility_id": str, "product_id": str})
        if name == "dispensing":
            frame["period_start"] = pd.to_datetime(frame["period_start"])
        frame.to_parquet(bundle / f"{name}.parquet")
        (bundle / f"{name}.csv").unlink()
    assert load(other, bundle).rejected_rows == ()
    assert contents(other) == contents(engine)


def test_byte_order_mark_column_order_case_and_gzip_do_not_matter(database, small):
    lines = [line.split(",") for line in FILES["facilities"].splitlines()]
    text = "\n".join(",".join(reversed(line)) for line in lines).replace("population", " Population ")
    (small / "facilities.csv").unlink()
    (small / "facilities.csv.gz").write_bytes(gzip.compress(("\ufeff" + text).encode()))
    assert load(database, small).refused == ()
    assert rows(database, "facilities")["population"].tolist() == [1000, 2000]


BAD_ROWS = [
    ("facilities", "C,East,many", "population", "many", "must be a finite number"),
    ("facilities", "D,East,inf", "population", "inf", "must be a finite number"),
    ("facilities", "F,,5", "name", None, "must not be blank"),
    ("facilities", "E,East,-1", "population", "-1", "must be 0 or more"),
    ("facilities", "B,Again,5", "facility_id", "B", "duplicate key"),
    ("facilities", "C,East", "*", "C,East", "has 2 fields, the header has 3"),
    ("products", "P3,x,5,mg,tablet,0,1,S1", "pack_size", "0", "must be more than 0"),
    ("products", "P4,x,5,mg,tablet,1_000,1,S1", "pack_size", "1_000", "must be a decimal number"),
    ("products", "P5,x,5,mg,tablet,28,1,S9", "supplier_id", "S9", "must be a supplier_id of suppliers"),
    ("ancestry", "B,Martian,0", "biogeographic_group", "Martian", "must be one of"),
    ("genotype_counts", "007,CYP2C19,phenotype,x,2000,1000", "count", "2000", "must not exceed the people tested"),
    ("testing_coverage", "B,CYP2C19,2026-01-01,0.2,1.5,no", "share_followed", "1.5", "must be 1 or less"),
    ("testing_coverage", "B,CYP2C19,2026-01-01,0.2,0.5,perhaps", "planned", "perhaps", "must be true or false"),
    ("dispensing", "007,P9,2026-01-05,1,", "product_id", "P9", "must be a product_id of products"),
    ("dispensing", "C,P2,2026-01-05,1,", "facility_id", "C", "must be a facility_id of facilities"),
    ("dispensing", "B,P2,05/01/2026,1,", "period_start", "05/01/2026", "must be an ISO date"),
    ("dispensing", "B,P2,2026-02-30,1,", "period_start", "2026-02-30", "must be an ISO date"),
    ("dispensing", "B,P2,2026,1,", "period_start", "2026", "must be an ISO date"),
    ("open_orders", "O9,B,P2,1.5,2026-01-01,2026-01-02", "packs", "1.5", "must be a whole number"),
    ("open_orders", "O9,B,P2,9999999999,2026-01-01,2026-01-02", "packs", "9999999999", "must be a whole number"),
    ("stock", "B,P2,1,2026-01-12T08:00,x\0y", "lot", "x\0y", "must be text"),
    ("policies", "C,,fill_rate,0.9", "facility_id", "C", "must be a facility_id of facilities or '*'"),
    ("shortages", ",,2026-01-01", "product_id, drug", ", ", "a product or a drug must be named"),
]


def test_bad_rows_are_named_and_everything_else_loads(engine, bundle):
    header, *good = FILES["stock"].splitlines()
    texts = {**FILES, "stock": "\n".join([header + ",lot", *(row + "," for row in good)]) + "\n"}
    expected = set()
    for name, row, column, value, rule in BAD_ROWS:
        texts[name] += row + "\n"
        expected.add((f"{name}.csv", texts[name].count("\n"), column, value, rule))
    for name, text in texts.items():
        write(bundle, name, text)
    report = load(engine, bundle)
    found = {(row.file, row.line): row for row in report.rejected_rows}
    assert {(file, line) for file, line, *_ in expected} == set(found)
    for file, line, column, value, rule in expected:
        row = found[file, line]
        assert (row.column, row.value) == (column, value)
        assert row.rule.startswith(rule)
    # a site with a wrong row of ancestry has a wrong sum; everything else loads
    assert {one.table: one.accepted for one in report.tables} == {n: t.count("\n") - 1 for n, t in FILES.items()}
    assert len(rows(engine, "rejected_rows")) == len(BAD_ROWS)


def test_lines_are_right_after_quoted_line_breaks_and_blank_lines(tmp_path):
    path = tmp_path / "facilities.csv"
    path.write_text('facility_id,name,population\n007,"North\nand\nmore",1\n\nB,South,2\nC,East\n', encoding="utf-8")
    got = read_file(path)
    assert got.frame.index.tolist() == [2, 6]
    assert [row.line for row in got.rejected] == [7]


def test_of_two_rows_with_one_key_the_first_readable_one_counts(database, small):
    write(small, "suppliers", "supplier_id,name,lead_time_days\nS1,A,soon\nS1,B,3\nS1,C,4\n")
    report = load(database, small)
    assert [(row.line, row.rule) for row in report.rejected_rows] == [
        (2, "must be a finite number"),
        (4, "duplicate key"),
    ]
    assert rows(database, "suppliers")["name"].tolist() == ["B"]


def test_shares_of_a_site_that_do_not_sum_to_one_reject_that_site_only(database, small):
    write(small, "ancestry", FILES["ancestry"].replace("0.3", "0.2"))
    report = load(database, small)
    assert {(row.line, row.rule) for row in report.rejected_rows} == {
        (2, "the shares of a site must sum to 1"),
        (3, "the shares of a site must sum to 1"),
    }
    assert rows(database, "ancestry")["facility_id"].tolist() == ["B"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("stock", b"facility_id,product_id,quantity\n", "missing column counted_at"),
        ("stock", b"", "the file is empty"),
        ("stock", b"facility_id,product_id,quantity,quantity,counted_at\n", "the header repeats quantity"),
        ("stock", b"facility_id;product_id;quantity;counted_at\n", "columns must be separated by commas"),
        ("assays", b"facility_id,gene,alleles_tested\n007,CYP2C19,caf\xe9\n", "not UTF-8 at byte 47 (line 2)"),
        ("assays", b'facility_id,gene,alleles_tested\n007,CYP2C19,"*2\n', "not a CSV file, line 2"),
        ("assays", b"facility_id,gene,alleles_tested,Patient ID\n007,CYP2C19,*2,1\n", "looks like patient-level data"),
        ("receipts", FILES["receipts"].replace("packs", "MRN").encode(), "looks like patient-level data"),
        ("stock", b"facility_id,product_id,quantity,counted_at,name\n", "looks like patient-level data"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_and_the_others_load(database, small, name, content, reason):
    (small / f"{name}.csv").write_bytes(content)
    report = load(database, small)
    (refused,) = report.refused
    assert refused.file == f"{name}.csv"
    assert refused.reason.startswith(f"{name}.csv: ")
    assert reason in refused.reason
    assert {one.table: one.accepted for one in report.tables} == {
        one: FILES[one].count("\n") - 1 for one in ("facilities", "products", "dispensing")
    }
    assert rows(database, name).empty
    ledger = rows(database, "loads").set_index("file")
    assert ledger.loc[f"{name}.csv", "notes"] == f"refused: {refused.reason}"


@pytest.mark.parametrize("content", [b"PAR1 not really", b""])
def test_an_unreadable_parquet_file_is_refused(database, small, content):
    (small / "stock.parquet").write_bytes(content)
    (refused,) = load(database, small).refused
    assert "not a readable Parquet file" in refused.reason


def test_a_damaged_gzip_file_is_refused(database, small):
    (small / "stock.csv.gz").write_bytes(gzip.compress(FILES["stock"].encode())[:-9])
    (refused,) = load(database, small).refused
    assert "cannot be read" in refused.reason


def test_two_files_for_one_table_are_refused(database, small):
    write(small, "stock", FILES["stock"])
    write(small, "Stock", FILES["stock"])
    assert {one.file for one in load(database, small).refused} == {"stock.csv", "Stock.csv"}


def test_unknown_columns_and_files_are_told_and_not_fatal(database, small):
    write(small, "assays", "facility_id,gene,alleles_tested,colour\n007,CYP2C19,*2,red\n")
    write(small, "budget", "a,b\n1,2\n")
    report = load(database, small)
    assert report.messages[0] == "budget.csv is not a file of a site bundle and was not read"
    (notes,) = [one.notes for one in report.tables if one.table == "assays"]
    assert notes == ("unknown columns not read: colour",)


def test_missing_optional_files_are_told_with_what_is_skipped(database, bundle):
    for name in set(FILES) - {"facilities", "products", "dispensing"}:
        (bundle / f"{name}.csv").unlink()
    write(bundle, "products", FILES["products"].replace(",S1", ","))
    report = load(database, bundle)
    assert len(report.messages) == len(FILES) - 3
    assert "no testing_coverage file: the genetic step is skipped" in report.messages
    assert load(database, bundle).accepted == 0


@pytest.mark.parametrize("name", ["facilities", "products", "dispensing"])
def test_a_small_without_a_required_file_is_refused_unless_the_database_has_it(database, small, name):
    kept = (small / f"{name}.csv").read_bytes()
    (small / f"{name}.csv").unlink()
    with pytest.raises(InvalidInput, match=f"no usable {name} file"):
        load(database, small)
    (small / f"{name}.csv").write_bytes(b"MRN\n1\n")
    with pytest.raises(InvalidInput, match="column 'mrn' looks like patient-level data"):
        load(database, small)
    (small / f"{name}.csv").write_bytes(kept)
    load(database, small)
    (small / f"{name}.csv").unlink()
    assert load(database, small).accepted == 0


def test_small_counts_of_people_are_stored_as_suppressed_and_zero_stays(engine, small):
    text = FILES["genotype_counts"].replace("Metabolizer,,", "Metabolizer,7,")
    write(small, "genotype_counts", text)
    write(small, "dispensing", FILES["dispensing"].replace(",12\n", ",4\n"))
    report = load(engine, small)
    notes = [note for one in report.tables for note in one.notes]
    assert notes == [
        "1 values of count under 11 stored as suppressed",
        "1 values of patients under 11 stored as suppressed",
    ]
    counts = rows(engine, "genotype_counts").set_index("result")["count"]
    assert counts["Normal Metabolizer"] == 400
    assert counts["Rapid Metabolizer"] == 0
    assert pd.isna(counts["Poor Metabolizer"])
    assert rows(engine, "dispensing")["patients"].dropna().tolist() == [20]


def test_a_rejected_row_never_tells_a_small_number_of_people(engine, small):
    head = FILES["genotype_counts"].splitlines()[0]
    width = head.count(",")
    full = "007,CYP2C19,phenotype,{},{},{}" + "," * (width - 5)
    lines = [full.format("A", "7 people", 900), full.format("B", "-7", 900), full.format("C", 900, 7)]
    lines += [full.format("D", 7, 900) + ",surplus", full.format("E", 2000, 900)]
    write(small, "genotype_counts", "\n".join([head, *lines]) + "\n")
    report = load(engine, small)
    told = {row.line: (row.column, row.value) for row in report.rejected_rows}
    assert told == {2: ("count", None), 3: ("count", None), 4: ("tested", None), 5: ("*", None), 6: ("count", "2000")}
    kept = rows(engine, "rejected_rows")["value"].dropna().tolist()
    assert kept == ["2000"]
    (rule,) = (row.rule for row in report.rejected_rows if row.line == 4)
    assert rule == "must be 11 people or more: fewer are not kept"


def test_the_threshold_can_only_be_raised(database, small, monkeypatch):
    write(small, "genotype_counts", FILES["genotype_counts"])
    monkeypatch.setenv("PGX_SUPPLY_SMALL_CELL_THRESHOLD", "500")
    load(database, small)
    assert rows(database, "genotype_counts")["count"].dropna().tolist() == [0]
    for refused in ("10", "0", "-1", "eleven"):
        monkeypatch.setenv("PGX_SUPPLY_SMALL_CELL_THRESHOLD", refused)
        with pytest.raises(InvalidInput, match="must be a whole number of 11 or more"):
            load(database, small)


def test_open_orders_that_a_site_no_longer_lists_are_removed(engine, small):
    write(small, "open_orders", FILES["open_orders"])
    load(engine, small)
    write(small, "open_orders", "\n".join(FILES["open_orders"].splitlines()[:2]) + "\n")
    report = load(engine, small)
    assert rows(engine, "open_orders")["order_id"].tolist() == ["O1", "O3"]
    (notes,) = [one.notes for one in report.tables if one.table == "open_orders"]
    assert notes == ("1 rows removed that the file no longer lists",)


def test_a_rejected_order_removes_nothing_of_its_site(engine, small):
    write(small, "open_orders", FILES["open_orders"])
    load(engine, small)
    write(small, "open_orders", FILES["open_orders"].replace("O2,007,P2,1,", "O2,007,P2,one,"))
    load(engine, small)
    assert rows(engine, "open_orders")["order_id"].tolist() == ["O1", "O2", "O3"]


def test_the_ledger_names_file_digest_counts_and_time(engine, small):
    load(engine, small)
    entry = rows(engine, "loads").set_index("table_name").loc["dispensing"]
    assert (entry["file"], entry["format"], entry["accepted"]) == ("dispensing.csv", "bundle", 3)
    assert len(entry["sha256"]) == 64
    assert abs(entry["loaded_at"] - dt.datetime.now(dt.UTC).replace(tzinfo=None)) < dt.timedelta(minutes=5)


def test_paths_and_formats_that_do_not_exist_are_refused(database, tmp_path):
    with pytest.raises(InvalidInput, match="no such file"):
        load(database, tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="not one of: bundle"):
        load(database, tmp_path, format="xml")
    with pytest.raises(InvalidInput, match="no file of a site bundle"):
        load(database, tmp_path)


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(max_examples=40, deadline=None)
@given(table=st.lists(st.tuples(cells, cells), max_size=6))
def test_any_quoted_text_is_read_back_as_it_was_written(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("csv") / "any.csv"
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [("a", "b"), *table]]
    path.write_bytes("\n".join(quoted).encode())
    got = read_file(path).frame
    kept = [row for row in table if any(row)]
    assert list(got.itertuples(index=False, name=None)) == kept


def test_a_writer_that_waits_does_not_fail(database, small):
    load(database, small)
    with database.connect() as reader:
        reader.execute(sa.text("SELECT count(*) FROM dispensing")).all()
        assert load(database, small).accepted == 0


def test_a_revised_quantity_keeps_what_stood_there_before(engine, small):
    load(engine, small)
    write(small, "dispensing", FILES["dispensing"].replace("2026-01-05,280,20", "2026-01-05,252,20"))
    report = load(engine, small)
    load(engine, small)
    kept = rows(engine, "dispensing_revisions")
    assert kept[["facility_id", "product_id", "quantity_before", "quantity_after", "file"]].to_numpy().tolist() == [
        ["007", "00123", 280.0, 252.0, "dispensing.csv"]
    ]
    assert rows(engine, "dispensing")["quantity"].tolist() == [252, -28, 56]
    assert any("1 quantities loaded before were revised" in note for one in report.tables for note in one.notes)
