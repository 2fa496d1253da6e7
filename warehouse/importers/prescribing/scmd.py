"""NHSBSA Secondary Care Medicines Data: what hospital trusts issued, by virtual medicinal product and month.

Layouts, known by column names: current, retired (2019) and BigQuery extracts. Beside the data, in the same folder, a
file of dm+d attributes of the products and a file of trust names are read if they are there. Quantities are in the
product's dm+d unit: filled vials and syringes are counted in millilitres, tablets, capsules and powders one by one. The
file's own unit column, where there is one, decides. Negative quantities are returns and stay.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from forecasting.errors import InvalidInput
from warehouse.importers.checking import FileParts, Part
from warehouse.importers.files import digest, header, read
from warehouse.importers.patient_columns import refuse_patient_columns
from warehouse.importers.prescribing.product_names import MILLIGRAMS, VOLUME_UNITS, drug_name, form_name, parse_name
from warehouse.importers.prescribing.publisher_files import (
    DISPENSING,
    ProductRow,
    dispensing_part,
    facility_part,
    product_part,
    sort_files,
)

QUANTITY_NAMES = (
    "total_quanity_in_vmp_unit",  # the publisher's spelling
    "total_quantity_in_vmp_unit",
    "total_quantity_in_vmp_udfs_unit_of_measure",
    "total_quantity",
)
UNIT_NAMES = ("unit_of_measure_name", "vmp_udfs_unit_of_measure_name")
DATA_COLUMNS = {"year_month", "ods_code", "vmp_snomed_code", "vmp_product_name"}
INFO_COLUMNS = {"vmp_snomed_code", "vtmnm", "strnt_nmrtr_val", "strnt_nmrtr_uom", "strnt_dnmtr_descr", "form_descr"}
KINDS: dict[str, Callable[[set[str]], bool]] = {
    "data": lambda names: names >= DATA_COLUMNS and bool(names & set(QUANTITY_NAMES)),
    "info": lambda names: names >= INFO_COLUMNS,
    "trusts": lambda names: names >= {"ods_code", "ods_name"} and "year_month" not in names,
}


def read_files(paths: Iterable[Path]) -> FileParts:
    """The SCMD files as parts; provisional months come before final ones, which then replace them."""
    publisher = FileParts()
    files = sort_files(paths, KINDS, {"data"}, publisher)
    info = _info(files["info"])
    names, closed_on = _trusts(files["trusts"])
    for path in sorted(files["data"], key=lambda file: ("provisional" not in file.name.lower(), file.name)):
        publisher.read(path, lambda file: _parts(file, info, names, closed_on), DISPENSING.name)
    return publisher


def _parts(path: Path, info: pd.DataFrame, names: dict[str, str], closed_on: dict[str, str]) -> list[Part]:
    columns = header(path)
    refuse_patient_columns(columns, path)
    quantity = next(name for name in QUANTITY_NAMES if name in columns)
    unit = next((name for name in UNIT_NAMES if name in columns), None)
    text = read(path, [*DATA_COLUMNS, quantity, *([unit] if unit else [])])
    rows = text.frame.apply(lambda values: values.fillna("").str.strip())
    units = rows[unit].str.lower() if unit else pd.Series("", index=rows.index, dtype="str")
    products, reasons = _products(rows, units, info)
    frame = pd.DataFrame(
        {
            "facility_id": rows["ods_code"],
            "product_id": rows["vmp_snomed_code"],
            "period_start": month_start(rows["year_month"]),
            "quantity": rows[quantity],
        }
    )
    sha256 = digest(path)
    shown = rows["vmp_product_name"]
    data = dispensing_part(path, sha256, frame, reasons, shown, "vmp_product_name")
    data.rejected += text.rejected
    return [
        facility_part(path, sha256, frame["facility_id"], names, closed_on),
        product_part(path, sha256, frame["product_id"], products),
        data,
    ]


def month_start(values: pd.Series) -> pd.Series:
    """First day of the month in ISO form, from 202605, 2026-05, 2026_05 or 2026-05-01; other text as it stands.

    >>> month_start(pd.Series(["202605", "2019-01", "2017_09", "2019-01-01", "May"], dtype="str")).tolist()
    ['2026-05-01', '2019-01-01', '2017-09-01', '2019-01-01', 'May']
    """
    return values.str.replace(r"^(\d{4})[-_]?(\d{2})(?:-\d{2}(?:[T ][\d:.]+)?)?$", r"\1-\2-01", regex=True)


def _products(rows: pd.DataFrame, units: pd.Series, info: pd.DataFrame) -> tuple[dict[str, ProductRow], dict[str, str]]:
    """What is known of each product, and why nothing is known of the others."""
    products: dict[str, ProductRow] = {}
    reasons: dict[str, str] = {}
    distinct = rows.assign(unit=units).drop_duplicates("vmp_snomed_code")
    for code, name, unit in distinct[["vmp_snomed_code", "vmp_product_name", "unit"]].itertuples(index=False):
        try:
            stated = info.loc[[code]] if code in info.index else info.iloc[:0]
            # dm+d states a liquid per millilitre; where the file counts containers, the name has what one holds
            counted = unit not in ("", *VOLUME_UNITS) and (stated["strnt_dnmtr_descr"] != "").any()
            known = _from_info(stated) if len(stated) and not counted else _from_name(name, unit)
            products[code] = {**known, "code_system": "dmd", "code": code}
        except InvalidInput as error:
            reasons[code] = f"strength unknown: {error}"
    return products, reasons


def _from_name(name: str, unit: str) -> ProductRow:
    strength = parse_name(name, containers_in_ml=unit in ("", *VOLUME_UNITS))
    return {"drug": strength.drug, "strength_value": repr(strength.strength_mg), "dose_form": strength.dose_form}


def _from_info(rows: pd.DataFrame) -> ProductRow:
    if len(rows) > 1 or "+" in rows["vtmnm"].iloc[0]:
        raise InvalidInput("more than one active ingredient: there is no one strength")
    row = rows.iloc[0]
    if row["strnt_nmrtr_uom"].lower() not in MILLIGRAMS or not row["vtmnm"]:
        raise InvalidInput(f"dm+d states no strength in mg ({row['strnt_nmrtr_val']} {row['strnt_nmrtr_uom']})")
    per = row["strnt_dnmtr_descr"].lower()
    if per and per not in VOLUME_UNITS:
        raise InvalidInput(f"a strength per {per} cannot be counted in dose units")
    try:
        strength_mg = float(row["strnt_nmrtr_val"]) * MILLIGRAMS[row["strnt_nmrtr_uom"].lower()]
        volume = float(row["strnt_dnmtr_val"] or 1) if per else 1.0
    except ValueError:
        raise InvalidInput(f"dm+d's strength is no number ({row['strnt_nmrtr_val']})") from None
    return {
        "drug": drug_name(row["vtmnm"]),
        "strength_value": repr(strength_mg / volume),
        "dose_form": form_name(row["form_descr"]),
    }


def _info(files: list[Path]) -> pd.DataFrame:
    columns = [*sorted(INFO_COLUMNS), "strnt_dnmtr_val"]
    frames = [read(path, columns).frame for path in files]
    empty = pd.DataFrame(columns=columns, dtype="str")
    info = pd.concat([empty, *frames]).fillna("").drop_duplicates()
    return info.set_index(info["vmp_snomed_code"].str.strip())


def _trusts(files: list[Path]) -> tuple[dict[str, str], dict[str, str]]:
    names: dict[str, str] = {}
    closed_on: dict[str, str] = {}
    for path in files:
        rows = read(path, ["ods_code", "ods_name", "close_date"]).frame.fillna("")
        names.update(zip(rows["ods_code"], rows["ods_name"], strict=True))
        if "close_date" in rows:
            closed_on.update(zip(rows["ods_code"], rows["close_date"], strict=True))
    return names, closed_on
