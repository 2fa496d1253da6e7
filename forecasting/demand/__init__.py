"""Baseline demand: histories cleaned, forecast with calibrated quantiles, and drawn as sample paths.

What belongs here: what a demand history alone can say. What does not: genotype (`forecasting/regimens`) and stock
(`forecasting/procurement`).
"""
