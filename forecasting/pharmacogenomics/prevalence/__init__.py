"""How common each result is at each site: prior, posterior, table, and whose genotypes they rest on."""
