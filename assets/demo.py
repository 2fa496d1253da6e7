"""The invented network as files, so that the demo goes the way every bundle goes."""

import datetime as dt
from pathlib import Path

from forecasting.demo import demo_network


def write_demo_bundle(folder: Path, as_of: dt.date) -> None:
    """Write the site bundle of the invented network, as of a Monday, as CSV files into `folder`."""
    folder.mkdir(exist_ok=True)
    for name, frame in demo_network(as_of=as_of).files.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
