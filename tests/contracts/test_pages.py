"""Each page's template uses the fields of its page's class: all of them, and no other name."""

import dataclasses

import jinja2.meta
import pytest
from jinja2 import nodes

from api import app
from api.display.templating import ENVIRONMENT, Page

assert app, "importing the application defines every page"
TEMPLATES = set(ENVIRONMENT.list_templates(filter_func=lambda name: name.endswith(".html")))
PAGES = Page.__subclasses__()


def parsed(template):
    return ENVIRONMENT.parse(ENVIRONMENT.loader.get_source(ENVIRONMENT, template)[0])


def with_references(template):
    """The template with those that it extends and imports."""
    names = {template}
    for name in jinja2.meta.find_referenced_templates(parsed(template)):
        names |= with_references(name)
    return names


def free_names(template):
    """Names that a template reads and does not set, import or define itself."""
    tree = parsed(template)
    own = {node.target for node in tree.find_all(nodes.Import)} | {node.name for node in tree.find_all(nodes.Macro)}
    own |= {node.target.name for node in tree.find_all(nodes.Assign)}
    return jinja2.meta.find_undeclared_variables(tree) - own - set(ENVIRONMENT.globals)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_a_template_uses_the_fields_of_its_page(page):
    used = set().union(*(free_names(template) for template in with_references(page.template)))
    fields = {field.name for field in dataclasses.fields(page)} | {"menu_entry"}
    assert used == fields


def test_every_template_belongs_to_a_page():
    templates = [page.template for page in PAGES]
    assert len(set(templates)) == len(templates)
    assert set().union(*(with_references(template) for template in templates)) == TEMPLATES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_every_page_says_what_it_shows(page):
    assert page.__doc__
    assert not page.__doc__.startswith(f"{page.__name__}(")
