"""One gene: its alleles, what they mean, and the way from allele frequencies to lookup keys."""
