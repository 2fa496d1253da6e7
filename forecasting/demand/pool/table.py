"""The pool's table: every forecaster that a series may get, one entry each.

To add one, write its module and its entry here: selection, backtest, intervals and the mean read the table.
A series gets the first entry for its period that suits it; entries that suit the same series stand in the order in
which they are preferred.
"""

from forecasting.demand.intervals import Scale
from forecasting.demand.pool.ensembles import (
    is_noisy,
    is_seasonal,
    is_sparse,
    local_median,
    local_weeks,
    rolling_rate,
    seasonal_median,
    yearly_days,
    yearly_weeks,
)
from forecasting.demand.pool.forecaster import Forecaster, at_each_end
from forecasting.terms import Period

MONTHS = (Period.MONTH, Period.QUARTER)
SEASON_SCALES = (Scale.LOG, Scale.ROOT)
"""A season multiplies, so that both scales are used; a series without one is noise about a level."""

FORECASTERS = (
    Forecaster("seasonal", seasonal_median, periods=MONTHS, suits=is_seasonal, interval_scales=SEASON_SCALES),
    Forecaster(
        "seasonal",
        at_each_end(yearly_weeks),
        periods=(Period.WEEK,),
        suits=is_seasonal,
        interval_scales=SEASON_SCALES,
        aims_at_mean=True,
    ),
    Forecaster(
        "seasonal", at_each_end(yearly_days), periods=(Period.DAY,), suits=is_seasonal, interval_scales=SEASON_SCALES
    ),
    Forecaster("intermittent", rolling_rate, suits=is_sparse, interval_scales=(), noise_share=0.0),
    Forecaster("noisy", mean_of=("local", "intermittent"), periods=MONTHS, suits=is_noisy, noise_share=0.5),
    Forecaster("local", local_median, periods=(*MONTHS, Period.DAY), is_fallback=True),
    Forecaster("local", local_weeks, periods=(Period.WEEK,), is_fallback=True, aims_at_mean=True),
)
