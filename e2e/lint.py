"""``python -m e2e.lint``: the house rules no other linter knows, then the charts.

Functions stay short (median), files stay short (each), and charts are valid.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from e2e import charts

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("operator", "e2e", "tests", "docs")
MAX_FILE_LINES = 400
MAX_MEDIAN_LINES = 12


def sources() -> Iterator[Path]:
    """Yield every Python file of the project."""
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def function_lengths(source: Path) -> Iterator[int]:
    """Yield the length of every function body in lines, signature and docstring included."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def complaints() -> Iterator[str]:
    """Yield what is too long."""
    lengths: list[int] = []
    for source in sources():
        lines = len(source.read_text(encoding="utf-8").splitlines())
        if lines > MAX_FILE_LINES:
            yield f"{source.relative_to(ROOT)}: {lines} lines, at most {MAX_FILE_LINES}"
        if ROOT / "operator" in source.parents:
            lengths.extend(function_lengths(source))
    median = statistics.median(lengths)
    print(f"{len(lengths)} functions in operator/, median {median:g} lines")
    if median > MAX_MEDIAN_LINES:
        yield f"median function has {median:g} lines, at most {MAX_MEDIAN_LINES}"


def main() -> int:
    """Print complaints and return their number."""
    found = list(complaints())
    for complaint in found:
        print(complaint, file=sys.stderr)
    return len(found) + charts.main([])


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
