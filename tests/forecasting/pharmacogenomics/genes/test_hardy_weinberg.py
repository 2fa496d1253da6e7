import numpy as np
import pandas as pd
import pytest

from forecasting.pharmacogenomics.prevalence.posterior import SiteRecords, prevalence_posterior

MORE, FEWER = "more homozygotes", "fewer homozygotes"


def problems(content, gene, result_type, tested, results, shares, facility="A"):
    ancestry = pd.DataFrame({"facility_id": facility, "biogeographic_group": list(shares), "share": shares.values()})
    seen = pd.DataFrame({"result": list(results), "count": list(results.values())}).assign(
        facility_id=facility, gene=gene, result_type=result_type, tested=tested
    )
    told = prevalence_posterior(
        content, [facility], [gene], SiteRecords(ancestry=ancestry, genotype_counts=seen)
    ).problems["problem"]
    return [text for text in told if "Hardy-Weinberg" in text]


EUROPEAN = {"European": 1.0}
VKORC1 = ("-1639 GG", "-1639 AG", "-1639 AA")


@pytest.mark.parametrize(("middle", "told"), [(480, []), (330, [MORE]), (640, [FEWER])])
def test_three_genotypes_of_one_group(content, middle, told):
    """Allele frequency 0.4 whatever the heterozygotes: 480 of 1,000 are expected."""
    genotypes = dict(zip(VKORC1, [600 - middle / 2, middle, 400 - middle / 2], strict=True))
    found = problems(content, "VKORC1", "phenotype", 1000, genotypes, EUROPEAN)
    assert len(found) == len(told)
    assert all(word in text for word, text in zip(told, found, strict=True))


def test_diplotypes_whose_heterozygotes_drop_out_are_told(content):
    fine = {"*1/*1": 722, "*1/*2": 256, "*2/*2": 22}
    dropped = {"*1/*1": 780, "*1/*2": 140, "*2/*2": 80}
    assert problems(content, "CYP2C19", "diplotype", 1000, fine, EUROPEAN) == []
    assert len(problems(content, "CYP2C19", "diplotype", 1000, dropped, EUROPEAN)) == 1


def test_a_mixed_site_is_not_blamed_for_being_mixed(content):
    """Half *3/*3 and few heterozygotes: impossible in one group, expected over these two."""
    seen = {"*3/*3": 480, "*1/*3": 250, "*1/*1": 270}
    mixed = {"European": 0.5, "Sub-Saharan African": 0.5}
    assert problems(content, "CYP3A5", "diplotype", 1000, seen, EUROPEAN)
    assert problems(content, "CYP3A5", "diplotype", 1000, seen, mixed) == []


def test_what_a_suppressed_count_may_explain_is_not_told(content):
    seen = {"*1/*1": 150, "*1/*2": 50, "*2/*2": np.nan}
    assert problems(content, "CYP2C19", "diplotype", 204, seen, EUROPEAN) == []


def test_allele_counts_say_nothing_about_it(content):
    assert problems(content, "CYP2C19", "allele", 1000, {"*1": 1000, "*2": 1000}, EUROPEAN) == []


def test_few_false_alarms_and_most_drop_outs_found(content, rng):
    """600 sites of 400 people in proportion, and as many where four in ten heterozygotes are read as homozygotes."""
    flagged = []
    for lost in (0.0, 0.4):
        rows = []
        for site in range(600):
            carried = rng.random((400, 2)) < 0.15
            carried[:, 1] = np.where(rng.random(400) < lost, carried[:, 0], carried[:, 1])
            copies = np.bincount(carried.sum(axis=1), minlength=3)
            pairs = zip(("*1/*1", "*1/*2", "*2/*2"), copies, strict=True)
            rows += [(f"S{site}", result, n if n > 10 else np.nan) for result, n in pairs if n]
        seen = pd.DataFrame(rows, columns=["facility_id", "result", "count"])
        seen = seen.assign(gene="CYP2C19", result_type="diplotype", tested=400)
        sites = seen["facility_id"].unique().tolist()
        ancestry = pd.DataFrame({"facility_id": sites, "biogeographic_group": "European", "share": 1.0})
        told = prevalence_posterior(
            content, sites, ["CYP2C19"], SiteRecords(ancestry=ancestry, genotype_counts=seen)
        ).problems
        flagged.append(told["problem"].str.contains("Hardy-Weinberg").sum())
    assert flagged[0] <= 4
    assert flagged[1] >= 500
