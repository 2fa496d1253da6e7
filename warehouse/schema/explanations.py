"""Why a line was recommended: the stored calculation beside the recommendation."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from warehouse.schema.base import Base, column
from warehouse.schema.columns import text
from warehouse.schema.rules import NotBlank


class Explanation(Base):
    """The stored calculation of a recommendation; the quantity is recomputed from it alone."""

    __tablename__ = "explanations"
    __table_args__ = {"info": {"layer": "results"}}

    recommendation_id: Mapped[str] = text(
        "Recommendation.", refers="recommendations.recommendation_id", primary_key=True
    )
    run_id: Mapped[str] = text("Run that made it.")
    document: Mapped[str] = column(sa.Text, "The calculation as JSON.", NotBlank())
    paragraph: Mapped[str] = column(sa.Text, "The same in plain language.", NotBlank())
    written_paragraph: Mapped[str | None] = column(
        sa.Text,
        "The same as a language model wrote it, every number and word checked; blank = the paragraph stands.",
        NotBlank(),
    )
    writer_model: Mapped[str | None] = text("Model that was asked to write it; blank = none was.", NotBlank())
    writer_problem: Mapped[str | None] = column(
        sa.Text, "Why what the model wrote is not shown; blank = it is, or none was asked.", NotBlank()
    )
