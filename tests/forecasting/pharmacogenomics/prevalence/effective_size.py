"""How far real sites of one biogeographic group differ, in people: what the built-in effective sizes come from."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.prevalence.prior import EVERY_GROUP, LEAST_PEOPLE

MOST_PEOPLE = 200.0
LEAST_STUDY_PEOPLE = 25
LEAST_STUDIES = 3
POOL_STUDIES = 10


def moments(studies: pd.DataFrame) -> tuple[float, float]:
    """Between-study and within-study variance of allele frequencies, summed over alleles.

    `studies`: one row per study and allele (`allele`, `frequency`, `n_subjects` in people). With `n = 2 n_subjects`
    alleles drawn from a Dirichlet-multinomial of concentration `A`, and `theta = 1 / (A + 1)`,

        H = n / (n - 1) f (1 - f)              has mean  p (1 - p) (1 - theta)
        B = var(f) - mean(H / n)               has mean  p (1 - p) theta

    so the ratio of their sums over alleles estimates `A = (1 - theta) / theta`. Studies count alike: beyond a few
    hundred people a larger study tells nothing more about how studies differ.

    >>> studies = pd.DataFrame({"allele": "*2", "frequency": [0.1, 0.2, 0.3], "n_subjects": [50, 50, 50]})
    >>> [round(float(value), 4) for value in moments(studies)]
    [0.0085, 0.1549]
    """
    copies = 2.0 * studies["n_subjects"]
    within = copies / (copies - 1) * studies["frequency"] * (1 - studies["frequency"])
    rows = studies.assign(within=within, noise=within / copies).groupby("allele")
    enough = rows["frequency"].count() >= LEAST_STUDIES
    between = rows["frequency"].var() - rows["noise"].mean()
    return float(between[enough].sum()), float(rows["within"].mean()[enough].sum())


def effective_people(between: float, within: float) -> float:
    """Effective size in people, half of `within / between` alleles, kept between 10 and 200 people.

    Below 10 a study table says that its studies are not of one group; above 200 it has too few studies to tell. No
    excess variance at all gives the upper bound.

    >>> effective_people(0.01, 1.0), effective_people(0.0, 1.0)
    (50.0, 200.0)
    """
    people = MOST_PEOPLE if between <= 0 else within / between / 2
    return float(np.clip(people, LEAST_PEOPLE, MOST_PEOPLE))


def group_effective_size(studies: pd.DataFrame, genes: Sequence[str]) -> pd.DataFrame:
    """Effective size per gene and group: gene, biogeographic_group, effective_size (people, to 0.1).

    `studies`: gene, allele, biogeographic_group, frequency, n_subjects, without the inferred reference alleles, which
    differ by what a study typed and not by who was studied. Studies of fewer than 25 people are left out. A group needs
    an allele that three of its studies report. The row `all` of a gene pools the moments of its groups, so that
    differences between groups do not count; a gene without any such studies gets the median of the other genes. A few
    studies can agree by chance: the variance `1 / size` of a group of k studies is averaged with that of `all` at the
    weights k and 10.

    References
    ----------
    Weir & Hill (2002), Annual Review of Genetics 36:721-750, doi:10.1146/annurev.genet.36.050802.093940, for moment
    estimators of this kind; the form above weighs studies alike.
    """
    if studies["frequency"].isna().any():
        raise InvalidInput("study frequencies must not be blank: leave out alleles that a study does not report")
    used = studies[studies["n_subjects"] >= LEAST_STUDY_PEOPLE]
    sizes: dict[tuple[str, str], float] = {}
    for gene in genes:
        groups = {str(group): rows for group, rows in used[used["gene"] == gene].groupby("biogeographic_group")}
        known = {group: pair for group, rows in groups.items() if (pair := moments(rows))[1] > 0}
        if not known:
            continue
        between, within = np.sum(list(known.values()), axis=0)
        pooled = sizes[gene, EVERY_GROUP] = effective_people(float(between), float(within))
        for group, pair in known.items():
            studies_of_group = int(groups[group].groupby("allele").size().max())
            weight = studies_of_group / (studies_of_group + POOL_STUDIES)
            sizes[gene, group] = 1 / (weight / effective_people(*pair) + (1 - weight) / pooled)
    usual = float(np.median([size for (_, group), size in sizes.items() if group == EVERY_GROUP]))
    for gene in genes:
        sizes.setdefault((gene, EVERY_GROUP), usual)
    rows = [(gene, group, round(size, 1)) for (gene, group), size in sorted(sizes.items())]
    return pd.DataFrame(rows, columns=["gene", "biogeographic_group", "effective_size"])
