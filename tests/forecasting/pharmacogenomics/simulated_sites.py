"""Invented sites with known truth, person by person, without any code of the estimator.

Each site serves up to four groups. Each group's allele frequencies at the site depart from the published ones as far as
the group's effective size says. People are tested one by one: group, two alleles, what the assay reports, what is
counted (alleles, diplotypes or phenotypes; of the whole site or by group), and counts of 1 to 10 are blanked.
"""

import dataclasses
import math
from collections import Counter

import numpy as np
import pandas as pd

KINDS = ("diplotype", "allele", "phenotype", "none")
WHOLE = "*"
SUPPRESSED = range(1, 11)


@dataclasses.dataclass
class World:
    """What the sites hand in, and the true share of people by (facility, lookup key)."""

    ancestry: pd.DataFrame
    counts: pd.DataFrame
    assays: pd.DataFrame
    truth: dict[tuple[str, str], float]
    made_by: dict[str, tuple[str, bool, bool, int, int]]
    """Facility -> kind of count, whether the assay is partial, whether by group, people tested, number of groups."""


class Gene:
    """Alleles, published frequencies and the key of each pair, read from the tables in plain Python."""

    def __init__(self, content, gene):
        self.gene = gene
        rows = content.allele_function[content.allele_function["gene"] == gene]
        self.states = {row.allele: (row.clinical_function, row.activity_value) for row in rows.itertuples()}
        self.rules = content.phenotype_rule[content.phenotype_rule["gene"] == gene].to_dict("records")
        self.reference = next(name for name in self.states if name in ("*1", "Reference") or " reference (" in name)
        published = content.allele_frequency[content.allele_frequency["gene"] == gene]
        sizes = content.group_effective_size[content.group_effective_size["gene"] == gene]
        size_of = dict(zip(sizes["biogeographic_group"], sizes["effective_size"], strict=True))
        self.frequencies, self.people = {}, {}
        for group, of_group in published.groupby("biogeographic_group"):
            named = of_group[of_group["allele"].isin(self.states) & of_group["frequency"].notna()]
            others = {row.allele: row.frequency for row in named.itertuples() if row.allele != self.reference}
            if not len(named):
                continue
            whole = {self.reference: max(1 - sum(others.values()), 0.0), **others}
            total = sum(whole.values())
            self.frequencies[group] = {name: value / total for name, value in whole.items() if value > 0}
            measured = named["n_subjects"].max()
            size = size_of.get(group, size_of["all"])
            self.people[group] = 1 / (1 / size + (0 if math.isnan(measured) else 1 / measured))
        self.answers: dict[tuple[str, str], tuple[str, str]] = {}

    def answer(self, one, other):
        """Phenotype and lookup key of two alleles."""
        if (one, other) not in self.answers:
            self.answers[one, other] = self._look_up(self.states[one], self.states[other])
        return self.answers[one, other]

    def _look_up(self, one, other):
        if any(rule["lookup_key"] == "activity_score" for rule in self.rules):
            values = [one[1], other[1]]
            if "n/a" in values:
                rule = next(rule for rule in self.rules if rule["lookup_key"] == "n/a")
                return rule["phenotype"], "n/a"
            score = sum(float(value.strip("\u2265")) for value in values)
            text = ("\u2265" if any("\u2265" in value for value in values) else "") + str(score)
            for rule in self.rules:
                top = math.inf if math.isnan(rule["activity_score_high"]) else rule["activity_score_high"]
                if rule["lookup_key"] != "n/a" and rule["activity_score_low"] <= score <= top:
                    return rule["phenotype"], text
            raise LookupError(text)
        names = sorted((one[0], other[0]))
        rule = next(rule for rule in self.rules if [rule["function_1"], rule["function_2"]] == names)
        return rule["phenotype"], rule["lookup_key"]


def world(content, gene_name, sites, rng, *, most_groups=4, people_times=1.0):
    """`sites` random sites of one gene, of up to `most_groups` groups each.

    Sites differ as the published effective sizes say; with sizes `people_times` as large, less.
    """
    gene = Gene(content, gene_name)
    gene.people = {group: people * people_times for group, people in gene.people.items()}
    ancestry, counts, assays, truth, made_by = [], [], [], {}, {}
    for number in range(sites):
        facility = f"S{number}"
        number_of_groups = min(int(rng.integers(1, most_groups + 1)), len(gene.frequencies))
        groups = list(rng.choice(sorted(gene.frequencies), number_of_groups, False))
        shares = dict(zip(groups, rng.dirichlet(np.full(len(groups), 2.0)), strict=True))
        ancestry += [(facility, group, share) for group, share in shares.items()]
        here = {group: _at_site(gene, group, rng) for group in groups}
        for key, share in _true_keys(gene, here, shares).items():
            truth[facility, key] = share
        kind, by_group, partial = str(rng.choice(KINDS)), rng.random() < 0.25, rng.random() < 0.4
        tested = int(np.exp(rng.uniform(np.log(50), np.log(5000))))
        made_by[facility] = (kind, partial, by_group, tested, len(groups))
        if kind == "none":
            continue
        names = list(gene.states)
        looked_for = names if not partial else [name for name in names if rng.random() < 0.6]
        assays.append((facility, gene_name, ";".join({gene.reference, *looked_for})))
        people = _people(gene, here, shares, tested, set(looked_for), rng)
        for group in groups if by_group else [WHOLE]:
            pairs = [pair for of, pair in people if group in (of, WHOLE)]
            for result, count in _counted(gene, kind, pairs).items():
                told = math.nan if count in SUPPRESSED else float(count)
                counts.append((facility, gene_name, kind, result, told, len(pairs), group))
    return World(
        pd.DataFrame(ancestry, columns=["facility_id", "biogeographic_group", "share"]),
        pd.DataFrame(
            counts, columns=["facility_id", "gene", "result_type", "result", "count", "tested", "biogeographic_group"]
        ),
        pd.DataFrame(assays, columns=["facility_id", "gene", "alleles_tested"]),
        truth,
        made_by,
    )


def _at_site(gene, group, rng):
    published = gene.frequencies[group]
    gammas = [rng.gamma(2 * gene.people[group] * frequency) for frequency in published.values()]
    return dict(zip(published, np.array(gammas) / sum(gammas), strict=True))


def _true_keys(gene, here, shares):
    keys = Counter()
    for group, share in shares.items():
        for one, p in here[group].items():
            for other, q in here[group].items():
                keys[gene.answer(one, other)[1]] += share * p * q
    return keys


def _people(gene, here, shares, tested, looked_for, rng):
    """(group, pair as reported) of each person."""
    of = rng.choice(list(shares), tested, p=list(shares.values()))
    people = []
    for group in shares:
        names, chances = list(here[group]), list(here[group].values())
        reported = [name if name in looked_for else gene.reference for name in names]
        pairs = rng.choice(len(names), (int((of == group).sum()), 2), p=chances)
        people += [(group, tuple(sorted((reported[i], reported[j])))) for i, j in pairs]
    return people


def _counted(gene, kind, pairs):
    if kind == "allele":
        return Counter(allele for pair in pairs for allele in pair)
    if kind == "phenotype":
        return Counter(gene.answer(*pair)[0] for pair in pairs)
    return Counter(f"{one}/{other}" for one, other in pairs)
