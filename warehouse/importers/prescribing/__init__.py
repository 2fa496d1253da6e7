"""Prescribing data of publishers, loaded into the tables of a site bundle."""
