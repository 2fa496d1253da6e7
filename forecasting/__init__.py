"""The science: arrays and small frames in, the same out.

No database, no Dagster, no HTTP, no files but its own tables.
"""
