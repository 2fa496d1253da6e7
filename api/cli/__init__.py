"""The `pgx-supply` command. Nothing heavy is imported before a command needs it: `--help` must answer at once."""
