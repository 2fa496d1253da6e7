"""Pharmacogenomic content of publishers and curators, loaded as releases."""
