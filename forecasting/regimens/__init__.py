"""Moves between products: what following a guideline row does to a site's mix; history un-mixed and re-mixed by it.

Belongs here: strengths and treatment-days, moves, exposure, mixing. Not here: who has which genotype
(`pharmacogenomics`) and how much is dispensed (`demand`).
"""
