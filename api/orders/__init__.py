"""Handing approved lines off: one order a supplier, its documents (CSV, FHIR, X12), and the supplier's answer."""
