"""From alleles to guidance: prevalence per site, phenotypes, and what a guideline asks for. Pure science, no file access
except its own curated tables."""
