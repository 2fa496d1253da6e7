"""Names of alleles and diplotypes, and what an assay can tell apart."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import InvalidInput, MissingContent


def parse_diplotype(text: str) -> tuple[str, str]:
    """The two alleles of `A/B`, in one order whichever way they were written.

    >>> parse_diplotype("*2/*1") == parse_diplotype(" *1 / *2 ")
    True
    """
    names = [name.strip() for name in text.split("/")]
    if len(names) != 2 or not all(names):
        raise InvalidInput(f"a diplotype is written A/B, not {text!r}")
    first, second = sorted(names)
    return first, second


def reference_allele(gene: str, alleles: Iterable[str]) -> str:
    """The allele that is reported when nothing else was found: `*1`, `Reference`, or `rs... reference (base)`.

    >>> reference_allele("VKORC1", ["rs9923231 variant (T)", "rs9923231 reference (C)"])
    'rs9923231 reference (C)'
    """
    names = list(alleles)
    for name in names:
        if name in ("*1", "Reference") or " reference (" in name:
            return name
    raise MissingContent(f"{gene} has no reference allele among {', '.join(names[:5])}")


def called_as(alleles: Sequence[str], reference: str, tested: Iterable[str]) -> NDArray[np.intp]:
    """Index of the allele that an assay reports for each allele, shape [A]: itself if tested, else the reference.

    An untyped allele is not an absent allele: it is called reference.

    >>> called_as(["*1", "*2", "*3"], "*1", ["*2"]).tolist()
    [0, 1, 0]
    """
    own = np.arange(len(alleles))
    is_tested = np.isin(np.asarray(alleles, dtype=object).astype(str), list(tested))
    return np.where(is_tested, own, list(alleles).index(reference))


def lowest_two_sum(values: Iterable[float]) -> float:
    """Activity score of one person from the values of all variants found, as CPIC counts DPYD: the two lowest.

    Variants found without phase count as if each sat on its own copy, also when there are more than two.

    >>> lowest_two_sum([1.0, 0.5, 0.0])
    0.5
    """
    ranked = sorted(values)
    if len(ranked) < 2:
        raise InvalidInput(f"an activity score needs two values at least, not {ranked}")
    return ranked[0] + ranked[1]
