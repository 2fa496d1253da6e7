"""Forecast overrides that people make: rules, preview, resources."""
