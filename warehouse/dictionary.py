"""The data dictionary, rendered from the schema: `python -m warehouse.dictionary` writes docs/data_dictionary.md."""

from pathlib import Path

import sqlalchemy as sa

from warehouse.schema import Base

PATH = Path("docs/data_dictionary.md")
LAYERS = {
    "inputs": "Inputs: what a site hands in (loaders write)",
    "reference": "Reference: versioned knowledge (releases)",
    "results": "Results: what the assets compute",
    "ledger": "Ledger: what people and systems did",
}


def render() -> str:
    """The dictionary as Markdown: every table and column with its meaning, unit and rules."""
    lines = ["# Data dictionary", "", "Made from `warehouse/schema` by `python -m warehouse.dictionary`; do not edit."]
    for layer, title in LAYERS.items():
        lines += ["", f"## {title}"]
        for table in sorted(Base.metadata.tables.values(), key=lambda by_name: by_name.name):
            if table.info["layer"] == layer:
                lines += ["", *_table(table)]
    return "\n".join(lines) + "\n"


def _table(table: sa.Table) -> list[str]:
    head = [f"### {table.name}", "", str(table.comment), "", "| column | type | meaning | unit | rules |"]
    return [*head, "| --- | --- | --- | --- | --- |", *(_column(column) for column in table.columns)]


def _column(column: sa.Column[object]) -> str:
    key = "key" if column.primary_key else "" if column.nullable else "required"
    references = [f"is a {key.column.name} of {key.column.table.name}" for key in column.foreign_keys]
    rules = [*([key] if key else []), *references, *(rule.text for rule in column.info["rules"])]
    cells = (f"`{column.name}`", _kind(column), column.comment or "", column.info["unit"] or "", "; ".join(rules))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kind(column: sa.Column[object]) -> str:
    kinds = {"ExactDecimal": "decimal", "String": "text", "Text": "text", "Float": "number", "Integer": "whole number"}
    name = type(column.type).__name__
    return kinds.get(name, name.lower())


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
