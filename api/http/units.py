"""The unit of every number an answer holds, as the tables declare it."""

from warehouse.queries.lines import table


def units_of(*tables: str) -> dict[str, str]:
    """Field -> unit, of the fields of the tables that have one.

    >>> units_of("recommendations")["packs"]
    'packs'
    """
    return {
        column.name: column.info["unit"] for name in tables for column in table(name).columns if column.info.get("unit")
    }


RECOMMENDATION_UNITS = {
    name: unit for name, unit in units_of("products", "recommendations").items() if name != "shelf_life_days"
}
FORECAST_UNITS = units_of("forecasts")
PREVALENCE_UNITS = {name: units_of("prevalence")[name] for name in ("mean", "low", "high")}
PRODUCT_UNITS = units_of("products")
