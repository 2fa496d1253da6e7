"""Posterior and draws for many sites and every gene of the reference content: seconds and peak memory.

    uv run python benchmarks/prevalence.py --sites 1000 --draws 1000

Sites, shares and counts are invented at random (diplotypes, alleles or phenotypes by turns; some by group, some with a
partial assay, counts of 1 to 10 blank); the reference content is the built-in one.
"""

import argparse
import itertools
import resource
import sys
import time

import numpy as np
import pandas as pd

from forecasting.pharmacogenomics.content import builtin_content
from forecasting.pharmacogenomics.genes.gene_model import GeneModel, gene_model
from forecasting.pharmacogenomics.prevalence.posterior import SiteRecords, draw_lookup_keys, prevalence_posterior

KINDS = ("diplotype", "allele", "phenotype")
KIB = 1024


def main() -> None:
    """Print one line a step."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--sites", type=int, default=1000)
    asked.add_argument("--draws", type=int, default=1000)
    options = asked.parse_args()
    content = builtin_content()
    genes = sorted(content.gene["gene"])
    random = np.random.default_rng(20261124)
    sites = [f"S{number:04d}" for number in range(options.sites)]
    ancestry = _ancestry(content, sites, random)
    counts = pd.concat([_counts(gene_model(content, gene), sites, random) for gene in genes], ignore_index=True)
    assays = _assays(content, genes, sites, random)
    sys.stdout.write(f"{len(sites)} sites, {len(genes)} genes, {len(counts)} count rows\n")
    started, worked = time.perf_counter(), time.process_time()
    state = prevalence_posterior(
        content, sites, genes, SiteRecords(ancestry=ancestry, genotype_counts=counts, assays=assays)
    )
    sys.stdout.write(
        f"posterior {time.perf_counter() - started:.1f} s ({time.process_time() - worked:.1f} s of processor time)\n"
    )
    drawn = {gene: draw_lookup_keys(state, gene, options.draws, seed=1)[0] for gene in genes}
    numbers = sum(keys.size for keys in drawn.values())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB**2
    passed, busy = time.perf_counter() - started, time.process_time() - worked
    sys.stdout.write(f"posterior and draws {passed:.1f} s ({busy:.1f} s of processor time), ")
    sys.stdout.write(f"{numbers / 1e6:.0f} million frequencies kept, peak {memory:.2f} GiB\n")


def _ancestry(content, sites: list[str], random: np.random.Generator) -> pd.DataFrame:
    groups = sorted(content.allele_frequency["biogeographic_group"].unique())
    rows = []
    for site in sites:
        served = random.choice(groups, int(random.integers(1, 5)), replace=False)
        shares = random.dirichlet(np.full(len(served), 2.0))
        rows += [(site, group, share) for group, share in zip(served, shares, strict=True)]
    return pd.DataFrame(rows, columns=["facility_id", "biogeographic_group", "share"])


def _counts(model: GeneModel, sites: list[str], random: np.random.Generator) -> pd.DataFrame:
    """Counts of common results; which results those are does not matter for the time taken."""
    alleles = [model.reference, *(name for name in model.alleles if name != model.reference)][:12]
    frequency = np.r_[0.5, np.full(len(alleles) - 1, 0.5 / max(len(alleles) - 1, 1))]
    frequency /= frequency.sum()
    single = model.share_with_one_copy == 1
    people = list(itertools.combinations_with_replacement(range(len(alleles)), 2))
    carried = [(i,) for i in range(len(alleles))] if single else people
    chance = np.array([np.prod(frequency[list(one)]) * (1 + (len(set(one)) > 1)) for one in carried])
    tested = random.integers(100, 3000, len(sites))
    seen = random.multinomial(tested, chance / chance.sum())
    frames = []
    for number, kind in enumerate(("allele",) if single else KINDS):
        results, into = _results(model, alleles, carried, kind)
        rows = np.arange(len(sites))[number :: 1 if single else len(KINDS)]
        counts = seen[rows] @ into
        site, result = np.nonzero(counts)
        frame = {"facility_id": np.array(sites, dtype=object)[rows[site]], "result_type": kind}
        frame |= {"result": np.array(results, dtype=object)[result], "tested": tested[rows[site]]}
        frames.append(pd.DataFrame({**frame, "count": counts[site, result].astype(float)}))
    told = pd.concat(frames, ignore_index=True).assign(gene=model.gene)
    return told.assign(count=told["count"].where(told["count"] > 10))


def _results(
    model: GeneModel, alleles: list[str], carried: list[tuple[int, ...]], kind: str
) -> tuple[list[str], np.ndarray]:
    """Names of the results that people are counted under, and how often each of what they carry counts there."""
    written = ["/".join(alleles[i] for i in one) for one in carried]
    if kind == "diplotype":
        return written, np.eye(len(carried), dtype=int)
    if kind == "allele":
        return alleles, np.array([[one.count(i) for i in range(len(alleles))] for one in carried])
    told = [{model.phenotype_of_key[key] for key in model.keys_of(text)} for text in written]
    names = list(model.phenotypes)
    return names, np.array([[int(name in of) for name in names] for of in told])


def _assays(content, genes: list[str], sites: list[str], random: np.random.Generator) -> pd.DataFrame:
    rows = []
    for gene in genes:
        alleles = list(gene_model(content, gene).alleles)
        some = ";".join(alleles[: max(len(alleles) // 2, 1)])
        rows += [(site, gene, some if random.random() < 0.4 else ";".join(alleles)) for site in sites]
    return pd.DataFrame(rows, columns=["facility_id", "gene", "alleles_tested"])


if __name__ == "__main__":
    main()
