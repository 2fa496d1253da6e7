"""Pages from templates: always escaped, a missing name is an error."""

from typing import Any

import jinja2
from fastapi.responses import HTMLResponse

from api.display import labels, menu


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("api", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= labels.FILTERS
    environment.globals |= {"words": labels, "menu": menu.entries}
    return environment


_ENVIRONMENT = _environment()


def page(name: str, *, status: int = 200, headers: dict[str, str] | None = None, **context: Any) -> HTMLResponse:
    """The rendered template as a response; `person` (who is signed in) and `here` (the page's name) default to none."""
    known = {"person": None, "here": ""}
    return HTMLResponse(_ENVIRONMENT.get_template(name).render(known | context), status, headers)
