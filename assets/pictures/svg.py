"""Pieces of small SVG drawings: document, text, lines, legend."""

from collections.abc import Iterable, Mapping
from html import escape

import numpy as np

TEXT_COLOUR = "#333"


def document(body: Iterable[str], width: float, height: float, title: str) -> str:
    """An SVG drawing with its title, for readers and above the picture."""
    head = f'<title>{escape(title)}</title><rect width="100%" height="100%" fill="#fff"/>{text(10, 16, title)}'
    return _sheet([head, *body], width, f"{height:.0f}", 'font-size="12" role="img"')


def plain_document(body: Iterable[str], width: float, height: float) -> str:
    """An SVG drawing that writes its title by itself."""
    return _sheet(['<rect width="100%" height="100%" fill="#fff"/>', *body], width, f"{height}", 'font-size="11"')


def _sheet(body: Iterable[str], width: float, height: str, attributes: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" {attributes}>{"".join(body)}</svg>'
    )


def text(x: float, y: float, content: str, anchor: str = "start", colour: str = TEXT_COLOUR) -> str:
    """A line of text, its foot at y."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str = "#ccc", dash: str = "") -> str:
    """A straight line."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dashed}/>'


def points(x: Iterable[float], y: Iterable[float]) -> list[str]:
    """Pairs of coordinates as SVG writes them.

    >>> points([1, 2.25], [3, 4])
    ['1.0,3.0', '2.2,4.0']
    """
    return [f"{across:.1f},{down:.1f}" for across, down in zip(x, y, strict=True)]


def polyline(corners: Iterable[str], colour: str, width: float = 1.6, dash: str = "") -> str:
    """A line through `points`."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{" ".join(corners)}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dashed}/>'


def legend(names: Mapping[str, str]) -> list[str]:
    """A coloured square and a name for each (name -> colour)."""
    parts, x = [], 10.0
    for name, colour in names.items():
        label = name.replace("_", " ")
        parts += [f'<rect x="{x:.0f}" y="25" width="10" height="10" fill="{colour}"/>', text(x + 14, 34, label)]
        x += 30 + 7 * len(label)
    return parts


def days(values: object) -> np.ndarray:
    """Dates as numbers of days, to place them along an axis."""
    return np.asarray(values, dtype="datetime64[D]").astype(float)
