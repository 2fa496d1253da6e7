"""A scenario's file (YAML), read strictly: each mistake is listed with file, line, field and reason."""

import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import yaml

from assets.dagster_io.run_tables import RunTables
from assets.scenarios.changes import Budget, Change, Coverage, GoLive, ReleaseInForce, Scenario, Shortage, planned_sites
from forecasting.errors import InvalidInput

LARGEST_FILE = 100_000
MOST_CHANGES = 50
MOST_MISTAKES = 20

Report = Callable[[yaml.Node, str, str], None]
"""Called with the place of a mistake, the field, and the reason."""


@dataclasses.dataclass(frozen=True)
class Known:
    """What a scenario may name: planned sites, products with their drugs, genes that are planned, releases by kind."""

    facility_ids: frozenset[str]
    drug_of: Mapping[str, str]
    genes: frozenset[str]
    kind_of_release: Mapping[str, str]
    as_of: dt.date

    @classmethod
    def of(cls, tables: RunTables, kind_of_release: Mapping[str, str]) -> "Known":
        """The names that the newest run's tables hold."""
        products = tables["products"]
        return cls(
            facility_ids=frozenset(planned_sites(tables)),
            drug_of=dict(zip(products["product_id"], products["drug"], strict=True)),
            genes=frozenset(tables["prevalence"]["gene"]),
            kind_of_release=kind_of_release,
            as_of=tables.run.as_of,
        )


def read_scenario(file: Path, known: Known) -> Scenario:
    """The scenario of a file; all its mistakes are listed at once in `InvalidInput`."""
    if not file.is_file():
        raise InvalidInput(f"{file}: there is no such file")
    if file.stat().st_size > LARGEST_FILE:
        raise InvalidInput(f"{file}: larger than {LARGEST_FILE} bytes")
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file}: is not UTF-8 text") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise InvalidInput(f"{file}{where}: is not YAML: {getattr(error, 'problem', error)}") from error
    mistakes: list[str] = []

    def report(at: yaml.Node, field: str, reason: str) -> None:
        mistakes.append(f"{file}:{at.start_mark.line + 1}: {field}: {reason}")

    scenario = _scenario(node, known, report) if node is not None else None
    if node is None:
        mistakes.append(f"{file}:1: file: is empty")
    if mistakes:
        more = [f"... and {len(mistakes) - MOST_MISTAKES} more"] if len(mistakes) > MOST_MISTAKES else []
        raise InvalidInput("\n".join([*mistakes[:MOST_MISTAKES], *more]))
    assert scenario is not None
    return scenario


LabelledChange = tuple[Change, str]


def _scenario(node: yaml.Node, known: Known, report: Report) -> Scenario:
    whole = _Section(node, "scenario", ("name", *SECTIONS), known, report)
    name = whole.text("name", field="name")
    changes: list[LabelledChange] = []
    for kind, (fields, read) in SECTIONS.items():
        if kind not in whole.fields:
            continue
        rows = whole.fields[kind]
        if not isinstance(rows, yaml.SequenceNode):
            report(rows, kind, "must be a list, each entry beginning with '-'")
            continue
        read_changes = [read(_Section(row, kind, fields, known, report)) for row in rows.value]
        changes += [change for change in read_changes if change is not None]
    if len(changes) > MOST_CHANGES:
        report(node, "scenario", f"has {len(changes)} changes; at most {MOST_CHANGES}")
    if name is not None and not 1 <= len(name) <= 100:
        report(whole.fields["name"], "name", "must have 1 to 100 characters")
    return Scenario(name or "", tuple(change for change, _ in changes), tuple(label for _, label in changes))


def _go_live(section: "_Section") -> LabelledChange | None:
    gene, sites, on = section.gene(), section.sites(), section.day("date")
    if gene is None or on is None:
        return None
    return GoLive(gene, on, sites), f"go-live of {gene} on {on}"


def _coverage(section: "_Section") -> LabelledChange | None:
    gene, sites, first = section.gene(), section.sites(), section.day("from")
    tested, followed = section.share("share_tested"), section.share("share_followed")
    if gene is None or first is None or tested is None or followed is None:
        return None
    label = f"coverage of {gene} {tested:.0%} tested, {followed:.0%} followed from {first}"
    return Coverage(gene, first, tested, followed, sites), label


def _release(section: "_Section") -> LabelledChange | None:
    sites, name = section.sites(), section.text("release_id")
    if name is None:
        return None
    if name not in section.known.kind_of_release:
        section.refuse("release_id", f"there is no release {name!r}")
        return None
    return ReleaseInForce(name, section.known.kind_of_release[name], sites), f"{name} in force"


def _shortage(section: "_Section") -> LabelledChange | None:
    share = section.share("allocation_share")
    ends = section.day("ends_on") if "ends_on" in section.fields else None
    if ("drug" in section.fields) == ("product_id" in section.fields):
        section.report(section.node, "shortage", "must name either drug or product_id")
        return None
    field = "drug" if "drug" in section.fields else "product_id"
    drug_of, name = section.known.drug_of, section.text(field)
    if name is None or share is None:
        return None
    if name not in (set(drug_of.values()) if field == "drug" else set(drug_of)):
        section.refuse(field, f"unknown {field.removesuffix('_id')} {name!r}")
        return None
    until = f" until {ends}" if ends else ""
    drug, product = (name, "*") if field == "drug" else ("*", name)
    return Shortage(drug, product, share, ends), f"shortage of {name}, {share:.0%} delivered{until}"


def _budget(section: "_Section") -> LabelledChange | None:
    sites, amount = section.sites(), section.number("per_period", "must be an amount of 0 or more")
    if amount is None:
        return None
    return Budget(amount, sites), f"budget of {amount:,.2f} a period"


SECTIONS: Mapping[str, tuple[tuple[str, ...], Callable[["_Section"], LabelledChange | None]]] = {
    "go_live": (("gene", "date", "facility_id"), _go_live),
    "coverage": (("gene", "from", "share_tested", "share_followed", "facility_id"), _coverage),
    "release": (("release_id", "facility_id"), _release),
    "shortage": (("drug", "product_id", "allocation_share", "ends_on"), _shortage),
    "budget": (("per_period", "facility_id"), _budget),
}
"""Kind of change -> the fields that an entry may have, and what reads it."""


class _Section:
    """The fields of one entry of the file, read one by one; a mistake is reported and gives None."""

    def __init__(self, node: yaml.Node, title: str, allowed: Sequence[str], known: Known, report: Report) -> None:
        self.node, self.title, self.known, self.report = node, title, known, report
        self.fields: dict[str, yaml.Node] = {}
        if not isinstance(node, yaml.MappingNode):
            report(node, title, "must hold fields, each 'name: value'")
            return
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if name not in allowed:
                report(key, name, f"unknown field of {title}; known are {', '.join(sorted(allowed))}")
            elif name in self.fields:
                report(key, name, "is given twice")
            else:
                self.fields[name] = value

    def refuse(self, name: str, reason: str) -> None:
        """Report a mistake in a field that is there."""
        self.report(self.fields[name], f"{self.title}.{name}", reason)

    def text(self, name: str, field: str | None = None) -> str | None:
        """The field's text; it must be there and not blank."""
        field = field or f"{self.title}.{name}"
        if name not in self.fields:
            self.report(self.node, field, "is missing")
            return None
        value = self.fields[name]
        if not isinstance(value, yaml.ScalarNode) or not value.value.strip():
            self.report(value, field, "must be one value that is not blank")
            return None
        return str(value.value).strip()

    def gene(self) -> str | None:
        """A gene that the plan knows."""
        name = self.text("gene")
        if name is not None and name not in self.known.genes:
            self.refuse("gene", f"unknown gene {name!r}; known are {_listed(self.known.genes)}")
            return None
        return name

    def sites(self) -> tuple[str, ...]:
        """The named sites, which may be one or a list; every planned site where none is named."""
        if "facility_id" not in self.fields:
            return tuple(sorted(self.known.facility_ids))
        value = self.fields["facility_id"]
        items = value.value if isinstance(value, yaml.SequenceNode) else [value]
        if not items:
            self.refuse("facility_id", "must name a site; leave it out for every site")
        sites = [str(item.value) if isinstance(item, yaml.ScalarNode) else "?" for item in items]
        for item, site in zip(items, sites, strict=True):
            if site not in self.known.facility_ids:
                reason = f"unknown facility {site!r}; planned are {_listed(self.known.facility_ids)}"
                self.report(item, f"{self.title}.facility_id", reason)
        return tuple(sorted(set(sites)))

    def day(self, name: str) -> dt.date | None:
        """A day on or after the origin."""
        text, earliest = self.text(name), self.known.as_of
        if text is None:
            return None
        try:
            day = dt.date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else None
        except ValueError:
            day = None
        if day is None:
            self.refuse(name, f"{text!r} is not a date; write it as {earliest}")
        elif day < earliest:
            self.refuse(name, f"{day} lies before the plan, which begins on {earliest}")
            return None
        return day

    def share(self, name: str) -> float | None:
        """A share from 0 to 1."""
        share = self.number(name, "must be a share from 0 to 1")
        if share is not None and share > 1:
            self.refuse(name, f"{share:g}: must be a share from 0 to 1")
            return None
        return share

    def number(self, name: str, rule: str) -> float | None:
        """A number of 0 or more; `rule` says what it must be."""
        text = self.text(name)
        if text is None:
            return None
        if not re.fullmatch(r"\d{1,12}(\.\d{1,6})?", text):
            self.refuse(name, f"{text!r}: {rule}")
            return None
        return float(text)


def _listed(names: Collection[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else "")
