"""The knowledge that prevalence and guidance are computed from, as frames: built in, or loaded from a publisher."""

import dataclasses
import functools
import io
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType

import pandas as pd

from forecasting.errors import InvalidInput

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gene": (
            *("gene", "inheritance", "counting", "reference", "location", "linkage_block", "left_out_alleles"),
            *("no_frequency", "source", "version", "pmid"),
        ),
        "allele_frequency": (
            *("gene", "allele", "biogeographic_group", "frequency", "n_subjects", "source", "version", "pmid"),
        ),
        "allele_function": ("gene", "allele", "clinical_function", "activity_value", "source", "version", "pmid"),
        "function_probability": (
            *("gene", "allele", "clinical_function", "activity_value", "probability", "source", "version", "pmid"),
        ),
        "phenotype_rule": (
            *("gene", "function_1", "function_2", "activity_score_low", "activity_score_high"),
            *("phenotype", "lookup_key", "source", "version", "pmid"),
        ),
        "diplotypes": ("gene", "diplotype", "activity_score", "phenotype", "lookup_key"),
        "guidance": (
            *("recommendation_id", "source", "guideline_id", "version", "year", "pmid", "no_pmid_reason"),
            *("drug", "population", "gene_1", "lookup_key_1", "gene_2", "lookup_key_2"),
            *("action", "dose_factor_low", "dose_factor_high", "dose_cap_mg_per_day", "absolute_dose_mg_per_day"),
            *("applies_to", "alternatives", "fallback_action", "fallback_dose_factor_low"),
            *("fallback_dose_factor_high", "fallback_dose_cap_mg_per_day", "reason", "strength", "table_date"),
        ),
        "population_share": ("drug", "population", "share", "basis"),
        "usual_daily_dose": ("drug", "usual_daily_dose_mg", "atc", "rxcui", "basis", "source"),
        "default_alternative": ("drug", "population", "alternative_drug", "share", "therapy", "basis"),
        "group_effective_size": ("gene", "biogeographic_group", "effective_size", "source"),
    }
)
"""Table -> its columns. Text columns hold "" where nothing applies; "n/a" is a lookup key of CPIC's, never a blank."""

NUMBERS = frozenset(
    {
        *("frequency", "n_subjects", "activity_score_low", "activity_score_high", "share", "usual_daily_dose_mg"),
        *("dose_factor_low", "dose_factor_high", "dose_cap_mg_per_day", "absolute_dose_mg_per_day", "effective_size"),
        *("fallback_dose_factor_low", "fallback_dose_factor_high", "fallback_dose_cap_mg_per_day"),
        "probability",
    }
)
"""Columns that hold numbers (missing: NaN); all others hold text."""


LOADED = ("diplotypes", "function_probability")
"""Tables of which nothing is built in."""


@dataclasses.dataclass(frozen=True, eq=False)
class ReferenceContent:
    """Published and curated knowledge, one frame each with the columns of `COLUMNS`.

    `diplotypes` holds a publisher's own diplotype table when one was loaded; for its genes it replaces the rules.
    `function_probability` holds what somebody loaded of the functions of uncertain alleles (`uncertain`). Nothing of
    either is built in.
    """

    gene: pd.DataFrame
    allele_frequency: pd.DataFrame
    allele_function: pd.DataFrame
    function_probability: pd.DataFrame
    phenotype_rule: pd.DataFrame
    diplotypes: pd.DataFrame
    guidance: pd.DataFrame
    population_share: pd.DataFrame
    usual_daily_dose: pd.DataFrame
    default_alternative: pd.DataFrame
    group_effective_size: pd.DataFrame

    def __post_init__(self) -> None:
        for table, columns in COLUMNS.items():
            missing = [column for column in columns if column not in getattr(self, table).columns]
            if missing:
                raise InvalidInput(f"reference table {table} lacks the columns {', '.join(missing)}")


@functools.cache
def builtin_content() -> ReferenceContent:
    """The content that comes with the package, read once.

    >>> content = builtin_content()
    >>> sorted(content.allele_function["gene"].unique())[:3]
    ['ABCG2', 'CACNA1S', 'CFTR']
    """
    folder = resources.files("forecasting.pharmacogenomics") / "tables"
    tables = {table: _read(folder / f"{table}.csv") for table in COLUMNS if table not in ("guidance", *LOADED)}
    files = sorted((folder / "guidance").iterdir(), key=lambda file: file.name)
    tables["guidance"] = _read(*(file for file in files if file.name.endswith(".csv")))
    tables |= {table: _typed(pd.DataFrame(columns=list(COLUMNS[table]), dtype=str)) for table in LOADED}
    return ReferenceContent(**tables)


def _read(*files: Traversable) -> pd.DataFrame:
    """One table from files of the same columns. Blanks stay "" in text, as pandas would also read "n/a" as missing."""
    heads, bodies = zip(*(file.read_text(encoding="utf-8").split("\n", 1) for file in files), strict=True)
    for file, head in zip(files, heads, strict=True):
        if head != heads[0]:
            raise InvalidInput(f"{file.name} has other columns than {files[0].name}")
    # one reading of all: a hundred small files one by one took half a second
    text = "\n".join([heads[0], *(body.strip("\n") for body in bodies)])
    return _typed(pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{column: pd.to_numeric(frame[column]) for column in frame.columns if column in NUMBERS})


def notes(name: str) -> pd.DataFrame:
    """A table of what was judged and left out, `tables/notes/NAME.csv`, as text.

    >>> notes("fda_association")["disposition"].value_counts().index[0]
    'covered by CPIC'
    """
    file = resources.files("forecasting.pharmacogenomics") / "tables" / "notes" / f"{name}.csv"
    return pd.read_csv(io.StringIO(file.read_text(encoding="utf-8")), dtype=str, keep_default_na=False)
