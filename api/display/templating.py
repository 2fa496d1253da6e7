"""Pages from templates: always escaped, a missing name is an error. What a template is given is one `Page`."""

import dataclasses
from typing import ClassVar

import jinja2
from fastapi.responses import HTMLResponse

from api.display import labels, menu
from api.principal import Principal
from forecasting import terms
from warehouse.roles import Role
from warehouse.schema.reference import ContentKind


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """What one template shows. A subclass names its template and the menu's entry that it belongs to.

    Its template uses each of its fields and no other name (`tests/contracts/test_pages.py`).
    """

    template: ClassVar[str]
    menu_entry: ClassVar[str]
    person: Principal | None = None  # who is signed in

    def __init_subclass__(cls, *, template: str, menu_entry: str = "") -> None:
        """Keep the names with the class, so that a page is one thing."""
        cls.template, cls.menu_entry = template, menu_entry


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("api", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= labels.FILTERS
    environment.globals |= {
        "terms": terms,
        "ContentKind": ContentKind,
        "Role": Role,
        "menu": menu.entries,
        "choices": labels.choices,
    }
    return environment


ENVIRONMENT = _environment()


def render(page: Page, *, status: int = 200, headers: dict[str, str] | None = None) -> HTMLResponse:
    """The page as a response."""
    text = ENVIRONMENT.get_template(page.template).render(vars(page), menu_entry=page.menu_entry)
    return HTMLResponse(text, status, headers)
