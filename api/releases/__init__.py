"""Guideline releases: resources and activation."""
