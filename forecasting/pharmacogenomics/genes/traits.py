"""What is declared about a gene: how many copies people have, what its alleles mean together, what it is linked to."""

import dataclasses
from enum import StrEnum

from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.content import ReferenceContent


class Inheritance(StrEnum):
    """How many copies of a gene a person has."""

    AUTOSOMAL = "autosomal"
    X_LINKED = "x_linked"
    MITOCHONDRIAL = "mitochondrial"


class Counting(StrEnum):
    """What the named alleles are.

    `HAPLOTYPES` exclude each other on one copy. `VARIANTS` do not: one that acts like the reference says nothing, and
    several found without phase count as if each sat on its own copy. `CARRIERS`: each allele is a test of its own, and
    people with at least one copy are positive.
    """

    HAPLOTYPES = "haplotypes"
    VARIANTS = "variants"
    CARRIERS = "carriers"


@dataclasses.dataclass(frozen=True)
class GeneTraits:
    """The declared properties of one gene.

    `reference` is the allele that takes what is left ("": found by its name). Genes of one `linkage_block` lie so close
    together that their alleles travel together. `left_out` alleles have published frequencies that must not be added
    to the others. `no_frequency` says why no frequency is built in ("": there are some).
    """

    gene: str
    inheritance: Inheritance = Inheritance.AUTOSOMAL
    counting: Counting = Counting.HAPLOTYPES
    reference: str = ""
    linkage_block: str = ""
    left_out: frozenset[str] = frozenset()
    no_frequency: str = ""

    def share_with_one_copy(self, share_male: float) -> float:
        """Share of people with a single copy of the gene, given the share of males.

        >>> [GeneTraits("G", kind).share_with_one_copy(0.4) for kind in Inheritance]
        [0.0, 0.4, 1.0]
        """
        return {"autosomal": 0.0, "x_linked": share_male, "mitochondrial": 1.0}[self.inheritance.value]


def gene_traits(content: ReferenceContent, gene: str) -> GeneTraits:
    """What the content declares about a gene; one that it does not mention is autosomal with haplotypes.

    >>> from forecasting.pharmacogenomics.content import builtin_content
    >>> gene_traits(builtin_content(), "G6PD").inheritance.value
    'x_linked'
    """
    rows = content.gene[content.gene["gene"] == gene]
    if not len(rows):
        return GeneTraits(gene)
    row = rows.iloc[0]
    try:
        inheritance, counting = Inheritance(row["inheritance"]), Counting(row["counting"])
    except ValueError as error:
        raise InvalidInput(f"gene {gene}: {error}") from error
    left_out = frozenset(str(row["left_out_alleles"]).split(";")) - {""}
    return GeneTraits(
        gene, inheritance, counting, row["reference"], row["linkage_block"], left_out, row["no_frequency"]
    )


def genes_of_shared_block(content: ReferenceContent, genes: set[str]) -> tuple[str, ...]:
    """Those of the genes that share a linkage block, in order; their frequencies must not be multiplied.

    >>> from forecasting.pharmacogenomics.content import builtin_content
    >>> genes_of_shared_block(builtin_content(), {"CYP2C9", "CYP2C19", "VKORC1"})
    ('CYP2C19', 'CYP2C9')
    """
    block = {gene: gene_traits(content, gene).linkage_block for gene in genes}
    blocks = [b for b in block.values() if b]
    return tuple(sorted(gene for gene in genes if block[gene] and blocks.count(block[gene]) > 1))
