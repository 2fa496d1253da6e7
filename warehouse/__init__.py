"""What is stored: the schema, the checks derived from it, loading, queries and migrations."""
