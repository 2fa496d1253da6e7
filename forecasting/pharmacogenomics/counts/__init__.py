"""Genotype counts of a site as evidence: censored, disclosed safely, assigned to groups."""
