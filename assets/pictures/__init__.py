"""Plots for the Dagster UI and the command line."""
