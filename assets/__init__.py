"""When things are computed and from what: thin Dagster assets over the pure science and the warehouse.

One module per stage, in the order of the data: planning, pharmacogenomics, regimens, demand, procurement.
"""
