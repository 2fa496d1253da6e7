"""The declarative base, the column kinds and the one helper that declares a column with its rules and documentation."""

from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, mapped_column

from warehouse.schema.rules import Refers, Rule

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all tables. A class's docstring is the table's documentation; its `layer` says who writes it."""

    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        table = cls.__table__
        assert isinstance(table, sa.Table)
        table.comment = " ".join((cls.__doc__ or "").split())
        table.info.setdefault("layer", cls.__module__.rsplit(".", 1)[-1])
        for column in table.columns:
            for rule in column.info.get("rules", ()):
                # decimals are text on SQLite: without the cast the comparison would be alphabetical
                exact = isinstance(column.type, ExactDecimal)
                condition = rule.sql(f"CAST({column.name} AS NUMERIC)" if exact else column.name)
                if condition is not None:
                    table.append_constraint(sa.CheckConstraint(condition, name=f"{column.name}_{_slug(rule.name)}"))


class ExactDecimal(sa.types.TypeDecorator[Decimal]):
    """Decimals that stay exact: NUMERIC on PostgreSQL, text on SQLite (which has only binary floats)."""

    impl = sa.Numeric(24, 6)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.String(32))
        return dialect.type_descriptor(sa.Numeric(24, 6))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        exact = value if isinstance(value, Decimal) else Decimal(str(value))
        return format(exact.normalize(), "f") if dialect.name == "sqlite" else exact

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 (SQLAlchemy gives it)
        if value is None:
            return None
        return Decimal(format(Decimal(value).normalize(), "f"))


class exact_text(sa.sql.functions.FunctionElement[str]):  # noqa: N801
    """SQL: an exact decimal as its shortest text, without exponent, which is how SQLite keeps it."""

    type = sa.String()
    inherit_cache = True


@compiles(exact_text, "sqlite")
def _as_kept(element: exact_text, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(exact_text, "postgresql")
def _as_text(element: exact_text, compiler: Any, **options: Any) -> str:
    return f"trim_scale({compiler.process(element.clauses, **options)})::text"


def column(
    kind: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]],
    comment: str,
    *rules: Rule,
    unit: str | None = None,
    refers: str | None = None,
    **options: Any,
) -> Any:
    """A documented column: its kind, what it means, its unit, its rules, and the key it refers to (`table.column`)."""
    info = {"rules": rules, "unit": unit}
    keys = [sa.ForeignKey(refers)] if refers else []
    return mapped_column(kind, *keys, comment=comment, info=info, **options)


def soft_references(table: sa.Table) -> list[tuple[str, Refers]]:
    """The (column, rule) pairs of a table that point to another table without a foreign key."""
    return [
        (column.name, rule)
        for column in table.columns
        for rule in column.info.get("rules", ())
        if isinstance(rule, Refers)
    ]


def _slug(text: str) -> str:
    return text.replace(".", "_").replace("-", "minus_")
