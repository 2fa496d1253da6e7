"""What is read from the database, by subject."""
