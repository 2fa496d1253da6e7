"""What an asset shows in the Dagster UI: table schema, row count, a few rows, problems and pictures."""

import base64
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pandas as pd
import sqlalchemy as sa

PREVIEW_ROWS = 8


def table_schema(table: sa.Table) -> dg.TableSchema:
    """The table's columns with type, meaning and unit, as Dagster shows them."""
    return dg.TableSchema(columns=[_column(column) for column in table.columns])


def _column(column: sa.Column[Any]) -> dg.TableColumn:
    unit = f" [{column.info['unit']}]" if column.info.get("unit") else ""
    rules = [rule.text for rule in column.info.get("rules", ())]
    return dg.TableColumn(
        column.name,
        type=str(column.type),
        description=f"{column.comment}{unit}",
        constraints=dg.TableColumnConstraints(nullable=bool(column.nullable), other=rules),
    )


def output_metadata(
    frame: pd.DataFrame, table: sa.Table, pictures: Mapping[str, str], problems: pd.DataFrame
) -> dict[str, Any]:
    """Metadata of one materialisation."""
    metadata: dict[str, Any] = {
        "dagster/row_count": len(frame),
        "dagster/column_schema": table_schema(table),
        "problems": len(problems),
    }
    if len(frame):
        metadata["preview"] = dg.MetadataValue.md(markdown_table(frame.head(PREVIEW_ROWS)))
    if len(problems):
        metadata["problem list"] = dg.MetadataValue.md(markdown_table(problems.head(50)))
    return metadata | {name: dg.MetadataValue.md(text) for name, text in pictures.items()}


def markdown_table(frame: pd.DataFrame) -> str:
    """The frame as a markdown table, numbers to four digits.

    >>> print(markdown_table(pd.DataFrame({"a": [1.23456], "b": ["x|y"]})))
    | a | b |
    | --- | --- |
    | 1.235 | x\\|y |
    """
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    lines = [list(map(str, frame.columns)), ["---"] * len(frame.columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat()
    return str(value).replace("|", "\\|")


def svg_picture(svg: str, alternative_text: str) -> str:
    """An SVG drawing as markdown that needs no other file."""
    data = base64.b64encode(svg.encode()).decode()
    return f"![{alternative_text}](data:image/svg+xml;base64,{data})"
