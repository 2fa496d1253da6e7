"""Publishers' files load into the bundle's tables; their oddities end as rows, notes or named rejections."""

import csv
import gzip

import pandas as pd
import pytest

from forecasting.errors import InvalidInput
from warehouse.importers import load
from warehouse.importers.prescribing.product_names import parse_name
from warehouse.schema import Base
from warehouse.store import read


def rows(engine, name):
    with engine.connect() as connection:
        return read(connection, Base.metadata.tables[name])


def notes(report, table="dispensing"):
    return [note for one in report.tables if one.table == table for note in one.notes]


@pytest.fixture
def database(new_engine):
    return new_engine("sqlite")


@pytest.mark.parametrize(
    ("name", "in_ml", "strength"),
    [
        ("Methotrexate 2.5mg tablets", True, ("methotrexate", 2.5, "tablet")),
        ("Methylphenidate 5mg/5ml oral solution", True, ("methylphenidate", 1.0, "oral solution")),
        ("Sodium oxybate 500mg/ml oral solution sugar free", True, ("sodium oxybate", 500.0, "oral solution")),
        ("Dexamfetamine 10mg tablets.", True, ("dexamfetamine", 10.0, "tablet")),
        ("Tocilizumab 200mg/10ml solution for infusion vials", True, ("tocilizumab", 20.0, None)),
        ("Tocilizumab 200mg/10ml solution for infusion vials", False, ("tocilizumab", 200.0, None)),
        ("Remdesivir 100mg powder for solution for infusion vials", True, ("remdesivir", 100.0, None)),
        ("Levothyroxine 25microgram tablets", True, ("levothyroxine", 0.025, "tablet")),
        ("Rituximab 1,400mg/11.7ml solution for injection vials", False, ("rituximab", 1400.0, None)),
        ("Warfarin Sod_Tab 500mcg", False, ("warfarin", 0.5, "tablet")),
        ("Codeine Phos_Linct 15mg/5ml S/F", False, ("codeine", 3.0, "oral solution")),
        ("Lansoprazole_Cap 30mg (E/C Gran)", False, ("lansoprazole", 30.0, "capsule")),
    ],
)
def test_names_give_drug_strength_and_form(name, in_ml, strength):
    got = parse_name(name, containers_in_ml=in_ml)
    drug, strength_mg, form = strength
    assert (got.drug, got.strength_mg) == (drug, pytest.approx(strength_mg))
    assert form is None or got.dose_form == form


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Sacubitril 97mg / Valsartan 103mg tablets", "more than one active ingredient"),
        ("Boots Ibuprofen and Codeine 200mg/12.8mg tablets", "more than one active ingredient"),
        ("Doxepin 5% cream", "does not state"),
        ("Dexamfetamine powder", "does not state"),
        ("Salbutamol 100micrograms/dose inhaler CFC free", "per dose"),
        ("Fentanyl 12micrograms/hour transdermal patches", "per hour"),
        ("Morphine 10mg oral solution", "without the volume"),
        ("Placebo 0mg tablets", "must be more than 0"),
    ],
)
def test_names_that_leave_a_doubt_give_the_reason(name, reason):
    with pytest.raises(InvalidInput, match=reason):
        parse_name(name, containers_in_ml=True)


SCMD_LAYOUTS = {
    "current": (
        'YEAR_MONTH,"ODS_CODE",VMP_SNOMED_CODE,"VMP_PRODUCT_NAME",UNIT_OF_MEASURE_IDENTIFIER,"UNIT_OF_MEASURE_NAME",'
        'TOTAL_QUANITY_IN_VMP_UNIT,INDICATIVE_COST\n202605,"RA2",326874007,"Methotrexate 2.5mg tablets",428673006,'
        '"TABLET","280.","457.8"\n202605,"RA3",326874007,"Methotrexate 2.5mg tablets",428673006,"TABLET","-28.",\n'
    ),
    "retired": (
        "YEAR_MONTH,ODS_CODE,VMP_SNOMED_CODE,VMP_PRODUCT_NAME,UNIT_OF_MEASURE_IDENTIFIER,UNIT_OF_MEASURE_NAME,"
        "TOTAL_QUANITY_IN_VMP_UNIT\n2026-05,RA2,326874007,Methotrexate 2.5mg tablets,428673006,tablet,280\n"
        "2026-05,RA3,326874007,Methotrexate 2.5mg tablets,428673006,tablet,-28\n"
    ),
    "bigquery": (
        "year_month,ods_code,vmp_snomed_code,vmp_product_name,total_quantity\n"
        "2026-05-01,RA2,326874007,Methotrexate 2.5mg tablets,280.0\n"
        "2026-05-01,RA3,326874007,Methotrexate 2.5mg tablets,-28.0\n"
    ),
    "udfs": (
        "YEAR_MONTH,ODS_CODE,VMP_SNOMED_CODE,VMP_PRODUCT_NAME,VMP_UDFS_UNIT_OF_MEASURE_NAME,"
        "TOTAL_QUANTITY_IN_VMP_UDFS_UNIT_OF_MEASURE\n202605,RA2,326874007,Methotrexate 2.5mg tablets,tablet,280\n"
        "202605,RA3,326874007,Methotrexate 2.5mg tablets,tablet,-28\n"
    ),
}


@pytest.mark.parametrize("layout", SCMD_LAYOUTS)
def test_every_scmd_layout_gives_the_same_rows(database, tmp_path, layout):
    path = tmp_path / "scmd.csv"
    path.write_text(SCMD_LAYOUTS[layout], encoding="utf-8")
    report = load(database, path, format="scmd")
    assert report.rejected_rows == ()
    got = rows(database, "dispensing")
    assert got["quantity"].tolist() == [280, -28]
    assert got["period_start"].unique().tolist() == [pd.Timestamp("2026-05-01")]
    product = rows(database, "products").iloc[0]
    assert (product["drug"], product["strength_value"], product["code_system"]) == ("methotrexate", 2.5, "dmd")
    assert product["pack_size"] == 1
    assert pd.isna(product["pack_price"])


def test_a_final_month_replaces_a_provisional_one(database, tmp_path):
    text = SCMD_LAYOUTS["retired"]
    (tmp_path / "scmd_provisional_202605.csv").write_text(text, encoding="utf-8")
    (tmp_path / "SCMD_FINAL_202605.csv").write_text(text.replace(",280", ",300"), encoding="utf-8")
    load(database, tmp_path, format="scmd")
    assert rows(database, "dispensing")["quantity"].tolist() == [300, -28]


def test_a_unit_that_counts_vials_gives_the_strength_of_a_vial(database, tmp_path):
    header = "year_month,ods_code,vmp_snomed_code,vmp_product_name,unit_of_measure_name,total_quantity\n"
    name = "Tocilizumab 200mg/10ml solution for infusion vials"
    text = f"{header}2026-05-01,RA2,1,{name},VIAL,3\n2026-05-01,RA2,2,{name},ML,30\n"
    (tmp_path / "scmd.csv").write_text(text, encoding="utf-8")
    load(database, tmp_path, format="scmd")
    assert rows(database, "products")["strength_value"].tolist() == [200, 20]


def test_sites_and_products_of_a_bundle_stay_as_a_person_described_them(database, tmp_path):
    for name, text in {
        "facilities": "facility_id,name,population\nRA2,Our hospital,250000\n",
        "products": (
            "product_id,drug,strength_value,strength_unit,dose_form,pack_size,pack_price\n"
            "326874007,methotrexate,2.5,mg,tablet,100,3.50\n"
        ),
        "dispensing": "facility_id,product_id,period_start,quantity\nRA2,326874007,2026-04-01,250\n",
    }.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    load(database, tmp_path)
    path = tmp_path / "extract_scmd.csv"
    path.write_text(SCMD_LAYOUTS["bigquery"], encoding="utf-8")
    load(database, path, format="scmd")
    assert rows(database, "facilities")["population"].tolist() == [250000, 0]
    assert rows(database, "products")["pack_size"].tolist() == [100]
    assert len(rows(database, "dispensing")) == 3


def test_a_file_of_another_layout_is_refused(database, tmp_path):
    path = tmp_path / "else.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    for format_name in ("scmd", "epd", "sdud"):
        (refused,) = load(database, path, format=format_name).refused
        assert "no known layout" in refused.reason
    with pytest.raises(InvalidInput, match="no file of this format"):
        load(database, tmp_path, format="scmd")


def test_epd_rows_of_one_presentation_are_summed_and_brands_join_their_generic(database, tmp_path):
    path = tmp_path / "epd.csv"
    header = (
        "YEAR_MONTH,PRACTICE_NAME,PRACTICE_CODE,ADDRESS_1,POSTCODE,BNF_CHEMICAL_SUBSTANCE_CODE,BNF_CHEMICAL_SUBSTANCE,"
        "BNF_PRESENTATION_CODE,BNF_PRESENTATION_NAME,QUANTITY,ITEMS,TOTAL_QUANTITY,UNIDENTIFIED\n"
    )
    chemical = "A81001,1 High St,AB1 2CD,0403030Q0,Sertraline hydrochloride"
    path.write_text(
        header
        + f'202605,The Surgery,{chemical},0403030Q0AAABAB,Sertraline 100mg tablets,"28.",3,"84.",N\n'
        + f"202605,The Surgery,{chemical},0403030Q0AAABAB,Sertraline 100mg tablets,56,1,56,N\n"
        + f"202605,The Surgery,{chemical},0403030Q0BBABAB,Lustral 100mg tablets,28,1,28,N\n"
        + f"202605,The Surgery,{chemical},0403030Q0BBAAAA,Lustral 50mg tablets,28,2,56,N\n"
        + f"202605,The Surgery,{chemical},20030100012,Gauze swab,5,1,5,N\n"
        + f"202605,The Surgery,{chemical},0403030Q0AAABAB,Sertraline 100mg tablets,28,1,lots,N\n",
        encoding="utf-8",
    )
    report = load(database, path, format="epd")
    assert {(row.line, row.column) for row in report.rejected_rows} == {
        (6, "bnf_presentation_code"),
        (7, "total_quantity"),
    }
    got = rows(database, "dispensing").set_index("product_id")["quantity"]
    assert got.to_dict() == {"0403030Q0AAAAAA": 56, "0403030Q0AAABAB": 168}
    products = rows(database, "products")
    assert products["drug"].unique().tolist() == ["sertraline"]
    assert products["strength_value"].tolist() == [50, 100]
    assert rows(database, "facilities")["name"].tolist() == ["The Surgery"]


SDUD_HEADER = (
    "Utilization Type,State,NDC,Labeler Code,Product Code,Package Size,Year,Quarter,Suppression Used,Product Name,"
    "Units Reimbursed,Number of Prescriptions\n"
)
NDC_TABLE = (
    "drug,is_combination,ndc11,dosage_form,substance_name,strength,unit,package_description\n"
    'atomoxetine,0,00002322730,CAPSULE,ATOMOXETINE,10,mg/1,"30 CAPSULE in 1 BOTTLE (0002-3227-30)"\n'
    "codeine,0,00011111111,SYRUP,CODEINE,15,mg/5mL,100 mL in 1 BOTTLE\n"
)


def test_sdud_sums_programmes_and_leaves_suppressed_and_national_rows_out(database, tmp_path):
    (tmp_path / "ndc.csv").write_text(NDC_TABLE, encoding="utf-8")
    path = tmp_path / "sdud.csv"
    path.write_text(
        SDUD_HEADER
        + "FFSU,AK,2322730,00002,3227,30,2018,4,false,STRATTERA,100,20\n"
        + "MCOU,AK,00002322730,00002,3227,30,2018,4,false,STRATTERA,50,11\n"
        + "FFSU,AL,00002322730,00002,3227,30,2018,4,false,STRATTERA,70,12\n"
        + "MCOU,AL,00002322730,00002,3227,30,2018,4,true,STRATTERA,,\n"
        + "FFSU,XX,00002322730,00002,3227,30,2018,4,false,STRATTERA,220,43\n"
        + "FFSU,AK,00011111111,00011,1111,11,2018,1,false,CODEINE,500,30\n"
        + "FFSU,AK,00099999999,00099,9999,99,2018,1,false,OTHER,1,30\n",
        encoding="utf-8",
    )
    report = load(database, path, format="sdud")
    assert [(row.line, row.value) for row in report.rejected_rows] == [(8, "00099999999")]
    got = rows(database, "dispensing")
    assert got[["facility_id", "product_id", "quantity"]].to_numpy().tolist() == [
        ["AK", "00002322730", 150.0],
        ["AK", "00011111111", 500.0],
    ]
    assert got["period_start"].dt.strftime("%Y-%m-%d").tolist() == ["2018-10-01", "2018-01-01"]
    assert notes(report) == [
        "1 rows of the national roll-up (XX) left out",
        "1 suppressed state, NDC and quarter combinations (1 to 10 prescriptions) left out as unknown",
    ]
    products = rows(database, "products")
    assert products["strength_value"].tolist() == [10, 3]
    assert [str(size) for size in products["pack_size"]] == ["30", "100"]


def test_sdud_without_an_ndc_table_asks_for_one(database, tmp_path):
    path = tmp_path / "sdud.csv"
    path.write_text(SDUD_HEADER + "FFSU,AK,2322730,00002,3227,30,2018,4,false,STRATTERA,100,20\n", encoding="utf-8")
    (rejected,) = load(database, path, format="sdud").rejected_rows
    assert "load an NDC table first" in rejected.rule


def test_real_hospital_issues_load_with_every_quantity(database, shared_data):
    path = shared_data / "rx" / "scmd_adhd_narcolepsy_trust_month.csv.gz"
    report = load(database, path, format="scmd")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        issues = [(row["vmp_product_name"], float(row["total_quantity"])) for row in csv.DictReader(file)]
    assert len(issues) == 30_462
    single = [quantity for name, quantity in issues if " / " not in name]
    assert report.rejected == len(report.rejected_rows) == len(issues) - len(single)
    assert all("more than one active ingredient" in row.rule for row in report.rejected_rows)
    got = rows(database, "dispensing")
    assert len(got) == len(single)
    assert got["quantity"].sum() == pytest.approx(sum(single))
    assert (got["quantity"] <= 0).sum() == sum(quantity <= 0 for quantity in single)
    assert any("-314280" in note for note in notes(report))
    trust = rows(database, "facilities").set_index("facility_id").loc["R1A"]
    assert trust["name"] == "Herefordshire and Worcestershire Health And Care NHS Trust"


def test_combinations_that_dmd_lists_by_ingredient_are_rejected_with_the_reason(database, shared_data, tmp_path):
    info = shared_data / "rx" / "scmd_adhd_narcolepsy_vmp_info.csv"
    (tmp_path / "info.csv").write_bytes(info.read_bytes())
    code = pd.read_csv(info, dtype=str).loc[lambda one: one["vmp_snomed_code"].duplicated(), "vmp_snomed_code"].iloc[0]
    text = SCMD_LAYOUTS["bigquery"] + f"2026-05-01,RA2,{code},Any name 5mg tablets,3\n"
    (tmp_path / "scmd.csv").write_text(text, encoding="utf-8")
    (rejected,) = load(database, tmp_path, format="scmd").rejected_rows
    assert "more than one active ingredient" in rejected.rule


def test_real_area_prescribing_loads_with_every_quantity_and_again_changes_nothing(engine, shared_data):
    path = shared_data / "rx" / "epd_sertraline_ccg_month.csv.gz"
    report = load(engine, path, format="epd")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        total = sum(float(row["quantity"]) for row in csv.DictReader(file))
    assert report.rejected_rows == ()
    assert rows(engine, "dispensing")["quantity"].sum() == pytest.approx(total)
    assert "UNK" in set(rows(engine, "facilities")["facility_id"])
    assert load(engine, path, format="epd").accepted == 0


@pytest.mark.slow
def test_real_practice_prescribing_loads_with_every_quantity(engine, shared_data):
    path = shared_data / "rx" / "epd_sertraline_practice_month.csv.gz"
    report = load(engine, path, format="epd")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        total = sum(float(row["quantity"]) for row in csv.DictReader(file))
    assert report.rejected_rows == ()
    assert rows(engine, "dispensing")["quantity"].sum() == pytest.approx(total)


@pytest.mark.parametrize(
    ("name", "format_name", "dispensed", "rejected"),
    [
        ("format_sample_scmd_202605.csv", "scmd", 3, 1),
        ("format_sample_epd_201709.csv.gz", "epd", 481, 23),
        ("format_sample_sdud_2018.csv", "sdud", 0, 2),
        ("epd_methotrexate_ccg_month.csv.gz", "epd", 5_201, 0),
        ("scmd_methotrexate_trust_month.csv.gz", "scmd", 4_086, 0),
    ],
)
def test_real_samples_load_as_counted(database, shared_data, name, format_name, dispensed, rejected):
    report = load(database, shared_data / "rx" / name, format=format_name)
    assert (len(rows(database, "dispensing")), report.rejected) == (dispensed, rejected)
