"""NHSBSA English Prescribing Data: what was dispensed in primary care, by practice, presentation and month.

Layouts, known by column names: 2017 style, the later one with SNOMED codes, and extracts by practice or area
(month, practice / ccg_id / pct, bnf_code, quantity). A publisher's row is one quantity per item, so a practice has
several rows a presentation: their TOTAL_QUANTITY is summed. Brands are counted with their generic: the product is
the generic equivalent of the BNF code (chemical substance, AA, last two characters twice). The address columns are the
practice's own and are dropped. Prescribing of an unknown area (UNK) stays, as a site of that name, so that totals hold.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from forecasting.errors import InvalidInput
from warehouse.importers.checking import FileParts, Part
from warehouse.importers.files import TextFrame, chunks, digest, header, read
from warehouse.importers.patient_columns import refuse_patient_columns
from warehouse.importers.prescribing.product_names import drug_name, parse_name
from warehouse.importers.prescribing.publisher_files import (
    DISPENSING,
    ProductRow,
    dispensing_part,
    facility_part,
    product_part,
    sort_files,
)
from warehouse.importers.prescribing.scmd import month_start
from warehouse.importers.report import RejectedRow

PERIOD_NAMES = ("year_month", "month")
SITE_NAMES = ("practice_code", "practice", "ccg_id", "pct", "pco_code")
SITE_TITLE_NAMES = ("practice_name",)
CODE_NAMES = ("bnf_presentation_code", "bnf_code")
TITLE_NAMES = ("bnf_presentation_name", "bnf_description", "bnf_name", "name")
PRACTICE_ADDRESS = ("address_1", "address_2", "address_3", "address_4", "postcode")
UNKNOWN_SITES = {"UNK": "Unknown area"}
BNF_PRESENTATION = re.compile(r"^[0-9]{6}[0-9A-Z]{9}$")
KEYS = ["facility_id", "product_id", "period_start"]


def _is_data(names: set[str]) -> bool:
    known = all(names & set(spellings) for spellings in (PERIOD_NAMES, SITE_NAMES, CODE_NAMES))
    # QUANTITY of the publisher is per item; extracts hold the total under that name
    return known and ("total_quantity" in names or ("quantity" in names and "year_month" not in names))


def _is_names(names: set[str]) -> bool:
    return "bnf_code" in names and bool(names & {"bnf_name", "name"}) and not names & set(PERIOD_NAMES)


KINDS: dict[str, Callable[[set[str]], bool]] = {"data": _is_data, "names": _is_names}


def read_files(paths: Iterable[Path]) -> FileParts:
    """The EPD files as parts, names of presentations taken from the data and from name files beside it."""
    publisher = FileParts()
    files = sort_files(paths, KINDS, {"data"}, publisher)
    titles = [title for path in files["names"] for title in _titles(read(path).frame)]
    for path in sorted(files["data"], key=lambda file: file.name):
        publisher.read(path, lambda file: _parts(file, titles), DISPENSING.name)
    return publisher


def generic_code(codes: pd.Series) -> pd.Series:
    """The generic equivalent of each BNF presentation code.

    >>> generic_code(pd.Series(["0403030Q0BBABAB"])).tolist()  # Lustral 100mg tablets
    ['0403030Q0AAABAB']
    """
    return codes.str[:9] + "AA" + codes.str[13:] + codes.str[13:]


def _parts(path: Path, titles: list[tuple[str, str, str]]) -> list[Part]:
    names = header(path)
    refuse_patient_columns(names, path, legitimate=PRACTICE_ADDRESS)
    wanted = {*PERIOD_NAMES, *SITE_NAMES, *SITE_TITLE_NAMES, *CODE_NAMES, *TITLE_NAMES, *_chemical(names)}
    wanted.add("bnf_chemical_substance_code")
    quantity = "total_quantity" if "total_quantity" in names else "quantity"
    totals, own_titles, site_titles, rejected = [], set[tuple[str, str, str]](), dict[str, str](), list[RejectedRow]()
    for text in chunks(path, [*wanted, quantity]):
        text.frame = text.frame.apply(lambda values: values.fillna("").str.strip())
        own_titles.update(_titles(text.frame))
        site_titles.update(_site_titles(text.frame))
        totals.append(_totals(text, quantity, path.name))
        rejected += text.rejected
    rows = _sum(pd.concat(totals))
    products, reasons = _products(rows["product_id"].unique(), [*titles, *sorted(own_titles)])
    sha256 = digest(path)
    data = dispensing_part(
        path, sha256, rows, reasons, rows["product_id"], next(name for name in CODE_NAMES if name in names)
    )
    data.rejected += rejected
    data.notes += _notes(rows)
    return [
        facility_part(path, sha256, rows["facility_id"], {**site_titles, **UNKNOWN_SITES}, {}),
        product_part(path, sha256, rows["product_id"], products),
        data,
    ]


def _totals(text: TextFrame, quantity: str, file: str) -> pd.DataFrame:
    numbers = pd.to_numeric(text.frame[quantity], errors="coerce")
    codes = text.frame[_first(CODE_NAMES, text.frame)]
    checks = {
        quantity: (numbers.isna(), "must be a finite number"),
        str(codes.name): (~codes.str.fullmatch(BNF_PRESENTATION), "must be a BNF presentation code of 15 characters"),
    }
    bad = pd.Series(False, index=text.frame.index)
    for column, (broken, rule) in checks.items():
        shown = text.frame.loc[broken & ~bad, column]
        text.rejected += [
            RejectedRow(file, line, column, value or None, rule)
            for line, value in zip(shown.index.tolist(), shown, strict=True)
        ]
        bad |= broken
    rows = pd.DataFrame(
        {
            "facility_id": text.frame[_first(SITE_NAMES, text.frame)],
            "product_id": generic_code(codes),
            "period_start": month_start(text.frame[_first(PERIOD_NAMES, text.frame)]),
            "quantity": numbers,
            "line": text.frame.index,
        }
    )
    return _sum(rows[~bad].set_index("line", drop=False))


def _sum(rows: pd.DataFrame) -> pd.DataFrame:
    summed = rows.groupby(KEYS, sort=False, as_index=False).agg({"quantity": "sum", "line": "min"})
    return summed.set_index("line", drop=False)


def _products(
    wanted: Iterable[str], titles: list[tuple[str, str, str]]
) -> tuple[dict[str, ProductRow], dict[str, str]]:
    """Products of the generic codes whose names are clear, and the reasons why the others are not known."""
    by_generic: dict[str, list[tuple[bool, str, str]]] = {}
    for code, title, chemical in titles:
        if BNF_PRESENTATION.match(code):
            generic = code[:9] + "AA" + code[13:] * 2
            by_generic.setdefault(generic, []).append((code != generic, title, chemical))
    products: dict[str, ProductRow] = {}
    reasons: dict[str, str] = {}
    for code in wanted:
        reason = "no name of this presentation or its generic is known"
        for branded, title, chemical in sorted(by_generic.get(code, []), key=lambda candidate: candidate[0]):
            try:
                products[code] = {**_product(title, chemical, branded), "code_system": "bnf", "code": code}
                break
            except InvalidInput as error:
                reason = f"{title}: {error}"
        else:
            reasons[code] = f"strength unknown: {reason}"
    return products, reasons


def _product(title: str, chemical: str, branded: bool) -> ProductRow:
    strength = parse_name(title, containers_in_ml=False)
    if branded and not chemical:
        raise InvalidInput("only a brand's name is known, not the drug")
    drug = drug_name(chemical) if branded else strength.drug
    return {"drug": drug, "strength_value": repr(strength.strength_mg), "dose_form": strength.dose_form}


def _titles(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Distinct (BNF code, name, chemical substance); names of the data and of name files alike."""
    title = next((name for name in TITLE_NAMES if name in frame.columns), None)
    if title is None:
        return []
    columns = [_first(CODE_NAMES, frame), title]
    distinct = frame.drop_duplicates(columns).fillna("")
    chemical = next((name for name in _chemical(list(frame.columns)) if name in frame.columns), None)
    chemicals = distinct[chemical] if chemical else pd.Series("", index=distinct.index)
    return list(zip(distinct[columns[0]].str.strip(), distinct[title].str.strip(), chemicals, strict=True))


def _chemical(names: list[str]) -> list[str]:
    # the name's column; `bnf_chemical_substance` is the code in the old layout and the name in the new one
    return ["bnf_chemical_substance" if "bnf_chemical_substance_code" in names else "chemical_substance_bnf_descr"]


def _site_titles(frame: pd.DataFrame) -> dict[str, str]:
    if "practice_name" not in frame or "practice_code" not in frame:
        return {}
    distinct = frame.drop_duplicates("practice_code")
    return dict(zip(distinct["practice_code"], distinct["practice_name"], strict=True))


def _first(names: Iterable[str], frame: pd.DataFrame) -> str:
    return next(name for name in names if name in frame.columns)


def _notes(rows: pd.DataFrame) -> list[str]:
    unknown = int(rows["facility_id"].isin(UNKNOWN_SITES).sum())
    return [f"{unknown} rows of an unknown area kept as site UNK"] if unknown else []
