"""Names of alleles and diplotypes, and what an assay can tell apart."""

from collections.abc import Iterable, Sequence

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


def allele_pair(text: str, alleles: Iterable[str], *, one_copy: bool = False) -> tuple[str, ...]:
    """The two alleles of `A/B`, or the one of `A` where people can have a single copy.

    Names may hold a stroke themselves: where the alleles are known, the text is cut between two of them.

    >>> allele_pair("B (reference)/Telti/Kobe", ["B (reference)", "Telti/Kobe"])
    ('B (reference)', 'Telti/Kobe')
    >>> allele_pair("Telti/Kobe", ["B (reference)", "Telti/Kobe"], one_copy=True)
    ('Telti/Kobe',)
    """
    known, name = set(alleles), text.strip()
    if one_copy and (name in known or "/" not in name):
        return (name,)
    parts = name.split("/")
    for cut in range(1, len(parts)):
        pair = "/".join(parts[:cut]).strip(), "/".join(parts[cut:]).strip()
        if known.issuperset(pair):
            first, second = sorted(pair)
            return first, second
    return parse_diplotype(text)


def split_alleles(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """The alleles of each text of a table that holds single copies and pairs, when the names are not known yet.

    A text that cannot be cut into two names of the table is a name itself.

    >>> split_alleles(["Telti/Kobe", "A", "A/Telti/Kobe"])
    [('Telti/Kobe',), ('A',), ('A', 'Telti/Kobe')]
    """
    names: set[str] = set()
    alleles_of: dict[str, tuple[str, ...]] = {}
    for text in sorted(texts, key=lambda text: text.count("/")):
        parts = text.split("/")
        cuts = (("/".join(parts[:i]).strip(), "/".join(parts[i:]).strip()) for i in range(1, len(parts)))
        pair = next((cut for cut in cuts if names.issuperset(cut)), None)
        alleles_of[text] = pair or (text.strip(),)
        if pair is None:
            names.add(text.strip())
    return [alleles_of[text] for text in texts]


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
