"""CMS State Drug Utilization Data: units that Medicaid reimbursed, by state, NDC and quarter.

Fee for service and managed care are summed; the national roll-up (state XX) is left out, or totals would double. A
suppressed row stands for 1 to 10 prescriptions: it is not zero, so a state, NDC and quarter with one is left out as a
whole and stays unknown. NDCs are text of 11 digits; lost leading zeros are put back. Strength and pack come from
an NDC table (drug, ndc11, strength, unit, dosage_form, package_description) in the same folder, never from the name.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from forecasting.errors import InvalidInput
from warehouse.importers.checking import FileParts, Part
from warehouse.importers.files import digest, header, read
from warehouse.importers.patient_columns import refuse_patient_columns
from warehouse.importers.prescribing.publisher_files import (
    DISPENSING,
    ProductRow,
    dispensing_part,
    facility_part,
    product_part,
    sort_files,
)
from warehouse.importers.report import RejectedRow

DATA_COLUMNS = {"state", "ndc", "year", "quarter", "suppression used", "units reimbursed"}
NDC_COLUMNS = {"drug", "ndc11", "strength", "unit", "dosage_form", "is_combination", "package_description"}
KINDS: dict[str, Callable[[set[str]], bool]] = {
    "data": lambda names: names >= DATA_COLUMNS,
    "ndc": lambda names: names >= NDC_COLUMNS,
}
ROLL_UP = "XX"
TRUE_WORDS = ("true", "t", "yes", "y", "1")
STRENGTH_UNIT = re.compile(r"^(?P<mass>mg|ug|g)/(?:1|(?P<volume>\d*\.?\d*)mL)$", re.IGNORECASE)
MASS_MG = {"mg": 1.0, "ug": 0.001, "g": 1000.0}
KEYS = ["facility_id", "product_id", "period_start"]


def read_files(paths: Iterable[Path]) -> FileParts:
    """The SDUD files as parts."""
    publisher = FileParts()
    files = sort_files(paths, KINDS, {"data"}, publisher)
    table = _ndc_table(files["ndc"])
    for path in sorted(files["data"], key=lambda file: file.name):
        publisher.read(path, lambda file: _parts(file, table), DISPENSING.name)
    return publisher


def _parts(path: Path, table: pd.DataFrame) -> list[Part]:
    refuse_patient_columns(header(path), path)
    text = read(path, sorted(DATA_COLUMNS))
    raw = text.frame.apply(lambda values: values.fillna("").str.strip())
    roll_up = raw["state"].str.upper() == ROLL_UP
    rows, rejected = _checked_rows(raw[~roll_up], path.name)
    summed, censored = _sum(rows)
    products, reasons = _products(summed["product_id"].unique(), table)
    sha256 = digest(path)
    data = dispensing_part(path, sha256, summed, reasons, summed["product_id"], "ndc")
    data.rejected += [*text.rejected, *rejected]
    data.notes += [
        f"{int(roll_up.sum())} rows of the national roll-up ({ROLL_UP}) left out",
        f"{censored} suppressed state, NDC and quarter combinations (1 to 10 prescriptions) left out as unknown",
    ]
    return [
        facility_part(path, sha256, summed["facility_id"], {}, {}),
        product_part(path, sha256, summed["product_id"], products),
        data,
    ]


def _checked_rows(raw: pd.DataFrame, file: str) -> tuple[pd.DataFrame, list[RejectedRow]]:
    suppressed = raw["suppression used"].str.lower().isin(TRUE_WORDS)
    numbers = pd.to_numeric(raw["units reimbursed"], errors="coerce")
    checks = {
        "ndc": (~raw["ndc"].str.fullmatch(r"\d{1,11}"), "must be an NDC of at most 11 digits"),
        "year": (~raw["year"].str.fullmatch(r"\d{4}"), "must be a year"),
        "quarter": (~raw["quarter"].isin(["1", "2", "3", "4"]), "must be 1, 2, 3 or 4"),
        "units reimbursed": (numbers.isna() & ~suppressed, "must be a number where the row is not suppressed"),
    }
    bad = pd.Series(False, index=raw.index)
    rejected: list[RejectedRow] = []
    for column, (broken, rule) in checks.items():
        shown = raw.loc[broken & ~bad, column]
        rejected += [
            RejectedRow(file, line, column, value or None, rule)
            for line, value in zip(shown.index.tolist(), shown, strict=True)
        ]
        bad |= broken
    months = raw["quarter"].map({"1": "01", "2": "04", "3": "07", "4": "10"}).fillna("")
    rows = pd.DataFrame(
        {
            "facility_id": raw["state"].str.upper(),
            "product_id": raw["ndc"].str.zfill(11),
            "period_start": raw["year"] + "-" + months + "-01",
            "quantity": numbers,
            "suppressed": suppressed,
            "line": raw.index,
        }
    )
    return rows[~bad], rejected


def _sum(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Fee for service and managed care together, and how many combinations are left out as censored."""
    how = {"quantity": "sum", "suppressed": "any", "line": "min"}
    summed = rows.groupby(KEYS, sort=False, as_index=False).agg(how)
    known = summed[~summed["suppressed"].astype(bool)].drop(columns="suppressed")
    return known.set_index("line", drop=False), len(summed) - len(known)


def _products(wanted: Iterable[str], table: pd.DataFrame) -> tuple[dict[str, ProductRow], dict[str, str]]:
    products: dict[str, ProductRow] = {}
    reasons: dict[str, str] = {}
    for ndc in wanted:
        try:
            products[ndc] = {**_product(ndc, table), "code_system": "ndc", "code": ndc}
        except InvalidInput as error:
            reasons[ndc] = f"strength of NDC unknown: {error}"
    return products, reasons


def _product(ndc: str, table: pd.DataFrame) -> ProductRow:
    if table.empty:
        raise InvalidInput("load an NDC table first (put it in the same folder)")
    if ndc not in table.index:
        raise InvalidInput("the NDC table does not have it")
    rows = table.loc[[ndc]]
    row = rows.iloc[0]
    if len(rows) > 1 or row["is_combination"].lower() in TRUE_WORDS:
        raise InvalidInput("more than one active ingredient: there is no one strength")
    match = STRENGTH_UNIT.match(row["unit"])
    if match is None or not re.fullmatch(r"\d*\.?\d+", row["strength"]):
        raise InvalidInput(f"{row['strength']} {row['unit']} is not a strength per dose unit")
    volume = float(match["volume"] or 1)
    return {
        "drug": row["drug"].lower(),
        "strength_value": repr(float(row["strength"]) * MASS_MG[match["mass"].lower()] / volume),
        "dose_form": row["dosage_form"].lower(),
        "pack_size": pack_size(row["package_description"]),
    }


def pack_size(description: str) -> str:
    """Dose units in the outermost package; 1 where the description does not say.

    >>> pack_size("10 BLISTER PACK in 1 CARTON (0001-0001-01)  > 10 TABLET in 1 BLISTER PACK")
    '100'
    """
    levels = [re.match(r"\s*(\d*\.?\d+) .+ in 1 ", level) for level in description.split(">")]
    size = 1.0
    for level in levels:
        if level is None:
            return "1"
        size *= float(level[1])
    return f"{size:g}" if size > 0 else "1"


def _ndc_table(files: list[Path]) -> pd.DataFrame:
    empty = pd.DataFrame(columns=sorted(NDC_COLUMNS), dtype="str")
    table = pd.concat([empty, *(read(path, sorted(NDC_COLUMNS)).frame for path in files)]).fillna("").drop_duplicates()
    return table.set_index(table["ndc11"].str.strip().str.zfill(11)).sort_index()
