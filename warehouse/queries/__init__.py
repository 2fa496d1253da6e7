"""What is read from the database, by subject.

A query is named after what comes back: in the plural for rows, in the singular for one row or None. One whose name ends
in `_query` gives the statement, for callers that page through it. Those with a `scope` never look beyond its sites.
"""
