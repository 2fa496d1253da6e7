"""Rules of the repository that a reviewer would otherwise have to remember."""

import ast
import inspect
import re
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from forecasting.terms import DescribedEnum
from warehouse import dictionary
from warehouse.schema import Base

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("forecasting", "warehouse", "assets", "api")
MOST_LINES = 400

MAY_IMPORT = {
    "forecasting": {"forecasting"},
    "warehouse": {"warehouse", "forecasting.terms", "forecasting.errors"},
    "assets": {"assets", "forecasting", "warehouse"},
    "api": {"api", "warehouse", "forecasting.terms", "forecasting.errors"},
}
EXEMPT = {"api/cli": {"assets"}, "api/overrides/preview.py": {"forecasting.procurement.explanation.what_if"}}
"""The command line starts runs; the preview of an edit redoes a stored calculation."""


def sources():
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # `from forecasting import terms` imports forecasting.terms
            yield from (f"{node.module}.{one.name}" for one in node.names)


def allowed(name, path):
    package = path.relative_to(ROOT).parts[0]
    extra = [words for folder, words in EXEMPT.items() if path.is_relative_to(ROOT / folder)]
    prefixes = MAY_IMPORT[package].union(*extra)
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def test_imports_go_one_way():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources()
        for name in imported(path)
        if name.split(".")[0] in PACKAGES and not allowed(name, path)
    ]
    assert wrong == []


API_ORDER = (
    *("settings", "principal", "display", "http", "access", "webhooks", "releases", "recommendations"),
    *("orders", "inventory", "overrides", "routes", "pages", "client", "app", "cli"),
)
"""Parts of `api/`: each imports only those before it."""


def part_of_api(path):
    return API_ORDER.index(path.relative_to(ROOT / "api").parts[0].removesuffix(".py"))


def test_the_parts_of_the_api_import_one_way():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources()
        if path.is_relative_to(ROOT / "api") and path != ROOT / "api" / "__init__.py"
        for name in imported(path)
        if name.startswith("api.") and API_ORDER.index(name.split(".")[1]) > part_of_api(path)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "path", "may"),
    [
        ("forecasting.demand.models", "warehouse/x.py", False),
        ("forecasting.terms.Period", "warehouse/x.py", True),
        ("assets.definitions", "api/app.py", False),
        ("assets.definitions", "api/cli/run.py", True),
        ("warehouse.store", "forecasting/x.py", False),
        ("forecasting.termsandmore", "api/app.py", False),
    ],
)
def test_the_import_rule_itself(name, path, may):
    assert allowed(name, ROOT / path) is may


HELPERS_OF_STAGES = ("assets/sites", "assets/dagster_io", "assets/pictures", "assets/scenarios")


def test_what_stages_share_imports_no_stage():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources()
        if any(path.is_relative_to(ROOT / folder) for folder in HELPERS_OF_STAGES)
        for name in imported(path)
        if name.startswith("assets.stages")
    ]
    assert wrong == []


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_imported_on_load(path, modules):
    """Modules that importing a file loads, with the packages that hold them: not those named in a function or under
    TYPE_CHECKING, nor packages that hold the file itself, which are being loaded already."""
    statements = list(ast.parse(path.read_text(encoding="utf-8")).body)
    for node in statements:
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            statements += [*node.body, *node.orelse]
        elif isinstance(node, ast.Try | ast.With):
            statements += node.body
        names = []
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{one.name}" for one in node.names]
        for name in names:
            parts = name.split(".")
            loaded = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
            yield from (one for one in loaded if one in modules and not f"{module_name(path)}.".startswith(f"{one}."))


def test_no_modules_import_each_other_in_a_circle():
    files = {module_name(path): path for path in sources()}
    graph = {name: set(modules_imported_on_load(path, files)) for name, path in files.items()}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' <- '.join(error.args[1])}")
    assert set(order) == set(files)


READS_THE_THRESHOLD = "warehouse/settings.py"


def test_the_small_cell_threshold_has_one_reader():
    """A site may raise it: outside the science, which takes it as an argument, only its reader names the constant."""
    named = {
        str(path.relative_to(ROOT))
        for path in sources()
        if "forecasting.terms.SMALL_CELL_THRESHOLD" in set(imported(path))
        and not path.is_relative_to(ROOT / "forecasting")
    }
    assert named == {READS_THE_THRESHOLD}


def test_no_source_file_is_too_long():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}


def test_every_table_and_column_is_documented():
    tables = Base.metadata.sorted_tables
    assert [table.name for table in tables if not table.comment] == []
    assert [f"{table.name}.{one.name}" for table in tables for one in table.columns if not one.comment] == []


def test_the_data_dictionary_is_current():
    written = (ROOT / dictionary.PATH).read_text(encoding="utf-8")
    assert written == dictionary.render(), "run: python -m warehouse.dictionary"
    assert all(f"### {name}\n" in written for name in Base.metadata.tables)


def test_every_table_is_named_in_a_test():
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    mappers = {mapper.local_table.name: mapper.class_.__name__ for mapper in Base.registry.mappers}
    unnamed = [name for name, cls in mappers.items() if not re.search(rf"\b({name}|{cls})\b", tests)]
    assert sorted(set(unnamed) - set(TESTED_AS_CONTENT)) == []


TESTED_AS_CONTENT = {
    # `tests/warehouse/importers/test_reference.py` stores and reads each of these by its kind of content
    **dict.fromkeys(("allele_functions", "phenotype_rules", "guidance", "population_shares"), "content"),
    **dict.fromkeys(("usual_daily_doses", "default_alternatives", "group_effective_sizes"), "content"),
    **dict.fromkeys(("allele_frequencies", "diplotype_phenotypes", "content_releases"), "content"),
    "function_probabilities": "content",
}


def literals(path):
    return {node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if is_text(node)}


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_a_vocabulary_is_the_only_place_of_its_words():
    words = {
        code.description.lower(): inspect.getfile(vocabulary)
        for vocabulary in DescribedEnum.__subclasses__()
        for code in vocabulary
        # one word alone may be a code, or the word of another matter
        if " " in code.description
    }
    assert len(words) > 50
    elsewhere = {
        f"{path.relative_to(ROOT)}: {text}"
        for path in sources()
        for text in literals(path)
        if words.get(text.lower(), str(path)) != str(path)
    }
    assert elsewhere == set()


MOST_FIELDS_BY_PLACE = 3


def is_dataclass(node):
    names = (getattr(one, "func", one) for one in node.decorator_list)
    return any(getattr(name, "attr", getattr(name, "id", "")) == "dataclass" for name in names)


def dataclass_fields(trees):
    """Fields of every dataclass by its name; those of its own body."""
    classes = (node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {
        node.name: sum(isinstance(one, ast.AnnAssign) for one in node.body) for node in classes if is_dataclass(node)
    }


def calls_with_spread_arguments(tree):
    """Name and line of every call that spreads a sequence over its arguments; `cls` is the class around it."""
    owners = {
        id(node): owner.name for owner in ast.walk(tree) if isinstance(owner, ast.ClassDef) for node in ast.walk(owner)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and any(isinstance(one, ast.Starred) for one in node.args):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            yield (owners.get(id(node), "") if name == "cls" else name), node.lineno


def test_a_dataclass_of_many_fields_is_not_filled_by_place():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sources()}
    fields = dataclass_fields(trees)
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {name}(*...)"
        for path, tree in trees.items()
        for name, line in calls_with_spread_arguments(tree)
        if fields.get(name, 0) > MOST_FIELDS_BY_PLACE
    ]
    assert wrong == []


def test_the_rule_of_dataclasses_itself():
    tree = ast.parse("class Plan:\n    def of(cls):\n        return cls(*parts)\nPlan(*parts)\nPlan(first=1, **rest)")
    assert sorted(calls_with_spread_arguments(tree)) == [("Plan", 3), ("Plan", 4)]


def test_one_place_says_when_a_stock_count_is_old():
    texts = {path: path.read_text(encoding="utf-8") for path in sources()}
    stated = [
        path.name for path, text in texts.items() if re.search(r"(?i)(stock_age|count_old|old_count)\w* = \d", text)
    ]
    assert stated == ["service_level.py"]


def test_the_project_file_names_no_package_registry():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert not re.search(r"index-url|\[\[tool\.uv\.index\]\]|find-links|https?://", text)


def test_the_changelog_begins_with_the_version_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert versions[0] == project["version"]


def test_readme_commands_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = set(re.findall(r"^\s*(?:\$ )?(?:uv run )?pgx-supply ([a-z]+)", text, flags=re.MULTILINE))
    if not commands:
        pytest.skip("the README shows no pgx-supply command yet")
    from api.cli.main import cli

    assert commands <= set(cli.commands)
