"""The assets, one module a stage of the data's road."""
