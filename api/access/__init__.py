"""Who asks: roles, sign-in, people, API keys, and the dependency that finds the caller."""
