"""Where Dagster meets the warehouse: the run, resources, table assets, metadata, executors."""
