"""Print how large the product's parts are: lines a package, lines a function without its docstring, arguments.

Run from the project's root: `uv run python benchmarks/sizes.py`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("forecasting", "warehouse", "assets", "api")
MOST_ARGUMENTS = 7

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    """Every function and method of a file."""
    return (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, Function))


def bare_lines(function: Function) -> int:
    """Lines of a function from `def` to its end, without its docstring."""
    documented = ast.get_docstring(function) is not None
    docstring = function.body[0] if documented else None
    hidden = docstring.end_lineno - docstring.lineno + 1 if docstring and docstring.end_lineno else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - hidden


def argument_count(function: Function) -> int:
    """Arguments that a caller can give, `self` and `cls` not among them."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return sum(argument.arg not in ("self", "cls") for argument in named)


def describe(package: str) -> str:
    """One line of figures about a package."""
    paths = sorted((ROOT / package).rglob("*.py"))
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)
    found = [function for path in paths for function in functions(path)]
    sizes = sorted(bare_lines(function) for function in found)
    many = sum(argument_count(function) > MOST_ARGUMENTS for function in found)
    median, ninetieth = sizes[len(sizes) // 2], sizes[len(sizes) * 9 // 10]
    return (
        f"{package:12} {len(paths):4} files {lines:6,} lines {len(sizes):5,} functions: median {median} lines, "
        f"90th percentile {ninetieth}, longest {sizes[-1]}; {many} with more than {MOST_ARGUMENTS} arguments"
    )


if __name__ == "__main__":
    for package in PACKAGES:
        print(describe(package))  # noqa: T201
