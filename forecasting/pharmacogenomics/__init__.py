"""From alleles to guidance: prevalence per site, phenotypes, and what a guideline asks for."""
