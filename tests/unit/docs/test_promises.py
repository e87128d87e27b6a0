"""Each promise of the threat model and of fencing names the tests that hold it, and those are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
EXPLANATION = TESTS.parent / "docs" / "explanation"
PAGES = ("threat-model.md", "fencing.md")
NAMED = re.compile(r"`([a-z0-9_/]+/test_\w+\.py)::(test_\w+)`")
NOT_HELD = "not stopped"
REFERENCES = sorted(
    {(page, *found) for page in PAGES for found in NAMED.findall((EXPLANATION / page).read_text())}
)


@cache
def functions_of(path: str) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((TESTS / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def promises(page: str) -> list[str]:
    """Return the rows of the tables whose last column says what shows it."""
    rows, told = [], False
    for line in (EXPLANATION / page).read_text().splitlines():
        if not line.startswith("|"):
            told = False
        elif line.rstrip().endswith("| shown by |"):
            told = True
        elif told and not line.startswith("|---"):
            rows.append(line)
    return rows


@pytest.mark.parametrize(("page", "path", "name"), REFERENCES)
def test_a_named_test_is_there(page: str, path: str, name: str):
    assert (TESTS / path).exists(), f"{page} names {path}"
    assert name in functions_of(path), f"{page} names {path}::{name}"


@pytest.mark.parametrize("page", PAGES)
def test_what_looks_like_a_test_is_looked_up(page: str):
    """A slip in the way that it is written must not make a name one that nobody checks."""
    written = re.findall(r"`[^`]*(?:::|\btest_)[^`]*`", (EXPLANATION / page).read_text())
    assert [one for one in written if not NAMED.fullmatch(one)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_promise_names_a_test_or_says_that_nothing_holds_it(page: str):
    rows = promises(page)
    assert len(rows) > 10
    bare = [row for row in rows if not NAMED.search(row) and NOT_HELD not in row]
    assert bare == []
