"""The past simulated under a policy, day by day, and its scores."""
