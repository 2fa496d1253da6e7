"""A scenario's picture per site as small SVG: demand a week now and then, of what moves most."""

from xml.sax.saxutils import escape

import pandas as pd

from assets.pictures.svg import plain_document

MOST_BARS = 12
WIDTH, ROW, LEFT, TOP = 720, 34, 190, 44
NOW, THEN = "#8c8c8c", "#08519c"


def scenario_drawings(moved: pd.DataFrame) -> dict[str, str]:
    """SVG by site, of its products whose demand moves most; sites where no demand moves have none."""
    change = (moved["units_per_week_then"] - moved["units_per_week_now"]).abs()
    ordered = moved.assign(size=change)[change > 0].sort_values(["size", "product_id"], ascending=[False, True])
    return {f"scenario, {site}": _drawing(str(site), rows) for site, rows in ordered.groupby("facility_id")}


def _drawing(site: str, rows: pd.DataFrame) -> str:
    shown = rows.head(MOST_BARS)
    top = max(float(shown[["units_per_week_now", "units_per_week_then"]].max().max()), 1e-9)
    height = TOP + ROW * len(shown) + 12
    title = f"{site}: dose units a week, as planned (grey) and under the scenario (blue)"
    body = [f'<text x="8" y="20">{escape(title)}</text>']
    for place, row in enumerate(shown.to_dict("records")):
        down = TOP + ROW * place
        body.append(f'<text x="{LEFT - 8}" y="{down + 14}" text-anchor="end">{escape(str(row["product_id"]))}</text>')
        for offset, name, colour in ((0, "units_per_week_now", NOW), (12, "units_per_week_then", THEN)):
            wide = row[name] / top * (WIDTH - LEFT - 90)
            body.append(f'<rect x="{LEFT}" y="{down + offset}" width="{wide:.1f}" height="10" fill="{colour}"/>')
            body.append(f'<text x="{LEFT + wide + 6:.1f}" y="{down + offset + 9}">{row[name]:,.1f}</text>')
    return plain_document(body, WIDTH, height)
