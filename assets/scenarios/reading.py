"""A scenario's file (YAML), read strictly: what is wrong is told with file, line, field and reason."""

import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from assets.dagster_io.run_tables import RunTables
from assets.scenarios.changes import Budget, Change, Coverage, GoLive, ReleaseInForce, Scenario, Shortage, planned_sites
from forecasting.errors import InvalidInput

LARGEST_FILE = 100_000
MOST_CHANGES = 50
MOST_TOLD = 20

Say = Callable[[yaml.Node, str, str], None]


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
    """The scenario of a file; everything that is wrong with it is told at once as `InvalidInput`."""
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
    wrong: list[str] = []

    def say(at: yaml.Node, field: str, reason: str) -> None:
        wrong.append(f"{file}:{at.start_mark.line + 1}: {field}: {reason}")

    scenario = _Reader(known, say).scenario(node) if node is not None else None
    if node is None:
        wrong.append(f"{file}:1: file: is empty")
    if wrong:
        more = [f"... and {len(wrong) - MOST_TOLD} more"] if len(wrong) > MOST_TOLD else []
        raise InvalidInput("\n".join([*wrong[:MOST_TOLD], *more]))
    assert scenario is not None
    return scenario


Fields = dict[str, yaml.Node]
NAMES = {
    "go_live": {"gene", "date", "facility_id"},
    "coverage": {"gene", "from", "share_tested", "share_followed", "facility_id"},
    "release": {"release_id", "facility_id"},
    "shortage": {"drug", "product_id", "allocation_share", "ends_on"},
    "budget": {"per_period", "facility_id"},
}


class _Reader:
    def __init__(self, known: Known, say: Say) -> None:
        self.known, self.say = known, say

    def scenario(self, node: yaml.Node) -> Scenario | None:
        fields = self._fields(node, "scenario", {"name", *NAMES})
        name = self._text(fields, "name", node, "name")
        changes: list[tuple[Change, str]] = []
        for kind in NAMES:
            if kind not in fields:
                continue
            rows = fields[kind]
            if not isinstance(rows, yaml.SequenceNode):
                self.say(rows, kind, "must be a list, each entry beginning with '-'")
                continue
            for row in rows.value:
                change_and_label = self._change(kind, row)
                changes += [change_and_label] if change_and_label is not None else []
        if len(changes) > MOST_CHANGES:
            self.say(node, "scenario", f"has {len(changes)} changes; at most {MOST_CHANGES}")
        if name is not None and not 1 <= len(name) <= 100:
            self.say(fields["name"], "name", "must have 1 to 100 characters")
        return Scenario(name or "", tuple(change for change, _ in changes), tuple(label for _, label in changes))

    def _change(self, kind: str, node: yaml.Node) -> tuple[Change, str] | None:
        fields = self._fields(node, kind, NAMES[kind])
        change_and_label: tuple[Change, str] | None = getattr(self, f"_{kind}")(fields, node)
        return change_and_label

    def _go_live(self, fields: Fields, node: yaml.Node) -> tuple[Change, str] | None:
        gene, sites = self._gene(fields, node, "go_live"), self._sites(fields, "go_live")
        on = self._day(fields, "date", node, "go_live.date", self.known.as_of)
        if gene is None or on is None:
            return None
        return GoLive(gene, on, sites), f"go-live of {gene} on {on}"

    def _coverage(self, fields: Fields, node: yaml.Node) -> tuple[Change, str] | None:
        gene, sites = self._gene(fields, node, "coverage"), self._sites(fields, "coverage")
        first = self._day(fields, "from", node, "coverage.from", self.known.as_of)
        shares = [self._share(fields, name, node, f"coverage.{name}") for name in ("share_tested", "share_followed")]
        if gene is None or first is None or shares[0] is None or shares[1] is None:
            return None
        label = f"coverage of {gene} {shares[0]:.0%} tested, {shares[1]:.0%} followed from {first}"
        return Coverage(gene, first, shares[0], shares[1], sites), label

    def _release(self, fields: Fields, node: yaml.Node) -> tuple[Change, str] | None:
        sites = self._sites(fields, "release")
        name = self._text(fields, "release_id", node, "release.release_id")
        if name is None:
            return None
        if name not in self.known.kind_of_release:
            self.say(fields["release_id"], "release.release_id", f"there is no release {name!r}")
            return None
        return ReleaseInForce(name, self.known.kind_of_release[name], sites), f"{name} in force"

    def _shortage(self, fields: Fields, node: yaml.Node) -> tuple[Change, str] | None:
        share = self._share(fields, "allocation_share", node, "shortage.allocation_share")
        ends = None
        if "ends_on" in fields:
            ends = self._day(fields, "ends_on", node, "shortage.ends_on", self.known.as_of)
        if ("drug" in fields) == ("product_id" in fields):
            self.say(node, "shortage", "must name either drug or product_id")
            return None
        field = "drug" if "drug" in fields else "product_id"
        name = self._text(fields, field, node, f"shortage.{field}")
        known = set(self.known.drug_of.values()) if field == "drug" else set(self.known.drug_of)
        if name is None or share is None:
            return None
        if name not in known:
            self.say(fields[field], f"shortage.{field}", f"unknown {field.removesuffix('_id')} {name!r}")
            return None
        until = f" until {ends}" if ends else ""
        drug, product = (name, "*") if field == "drug" else ("*", name)
        return Shortage(drug, product, share, ends), f"shortage of {name}, {share:.0%} delivered{until}"

    def _budget(self, fields: Fields, node: yaml.Node) -> tuple[Change, str] | None:
        sites = self._sites(fields, "budget")
        amount = self._number(fields, "per_period", node, "budget.per_period", "must be an amount of 0 or more")
        if amount is None:
            return None
        return Budget(amount, sites), f"budget of {amount:,.2f} a period"

    def _fields(self, node: yaml.Node, section: str, allowed: set[str]) -> Fields:
        if not isinstance(node, yaml.MappingNode):
            self.say(node, section, "must hold fields, each 'name: value'")
            return {}
        by_name: Fields = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if name not in allowed:
                self.say(key, name, f"unknown field of {section}; known are {', '.join(sorted(allowed))}")
            elif name in by_name:
                self.say(key, name, "is given twice")
            else:
                by_name[name] = value
        return by_name

    def _text(self, fields: Fields, name: str, node: yaml.Node, field: str) -> str | None:
        if name not in fields:
            self.say(node, field, "is missing")
            return None
        value = fields[name]
        if not isinstance(value, yaml.ScalarNode) or not value.value.strip():
            self.say(value, field, "must be one value that is not blank")
            return None
        return str(value.value).strip()

    def _gene(self, fields: Fields, node: yaml.Node, section: str) -> str | None:
        name = self._text(fields, "gene", node, f"{section}.gene")
        if name is not None and name not in self.known.genes:
            self.say(fields["gene"], f"{section}.gene", f"unknown gene {name!r}; known are {_listed(self.known.genes)}")
            return None
        return name

    def _sites(self, fields: Fields, section: str) -> tuple[str, ...]:
        """The named sites, which may be one or a list; every planned site where none is named."""
        if "facility_id" not in fields:
            return tuple(sorted(self.known.facility_ids))
        value = fields["facility_id"]
        named = value.value if isinstance(value, yaml.SequenceNode) else [value]
        if not named:
            self.say(value, f"{section}.facility_id", "must name a site; leave it out for every site")
        sites = []
        for item in named:
            site = str(item.value) if isinstance(item, yaml.ScalarNode) else "?"
            if site not in self.known.facility_ids:
                reason = f"unknown facility {site!r}; planned are {_listed(self.known.facility_ids)}"
                self.say(item, f"{section}.facility_id", reason)
            sites.append(site)
        return tuple(sorted(set(sites)))

    def _day(self, fields: Fields, name: str, node: yaml.Node, field: str, earliest: dt.date) -> dt.date | None:
        text = self._text(fields, name, node, field)
        if text is None:
            return None
        try:
            day = dt.date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else None
        except ValueError:
            day = None
        if day is None:
            self.say(fields[name], field, f"{text!r} is not a date; write it as {earliest}")
        elif day < earliest:
            self.say(fields[name], field, f"{day} lies before the plan, which begins on {earliest}")
            day = None
        return day

    def _share(self, fields: Fields, name: str, node: yaml.Node, field: str) -> float | None:
        share = self._number(fields, name, node, field, "must be a share from 0 to 1")
        if share is not None and share > 1:
            self.say(fields[name], field, f"{share:g}: must be a share from 0 to 1")
            return None
        return share

    def _number(self, fields: Fields, name: str, node: yaml.Node, field: str, rule: str) -> float | None:
        text = self._text(fields, name, node, field)
        if text is None:
            return None
        if not re.fullmatch(r"\d{1,12}(\.\d{1,6})?", text):
            self.say(fields[name], field, f"{text!r}: {rule}")
            return None
        return float(text)


def _listed(names: Any) -> str:
    shown = sorted(names)
    return ", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else "")
