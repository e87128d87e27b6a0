"""``python -m e2e.lint``: the figures of the house that no other linter knows, then the charts.

Folders, files and parameter lists stay small, in the product, the tools and the tests alike; functions
stay short. What was too big when a limit was drawn is listed with its size: it may shrink, and its line
goes as soon as the limit is kept. What several tests share stands in a module that is no test: a file of
tests can then go or be renamed. What has to happen is waited for as long as a busy machine may take, and
not for seconds somebody guessed.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from e2e import charts, release

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = "operator"
MAX_PARAMETERS = 7
MAX_MEDIAN_LINES = 12
OUT_OF_A_TEST = re.compile(
    r"^\s*(?:from|import) \S*\btests\.(?:\w+\.)*?(?:test_\w+|\w+ import test_\w+)", re.MULTILINE
)
IMPATIENT = re.compile(
    r"asyncio\.(?:timeout\((?:[2-9]|[1-9]\d+)(?:\.\d*)?\)|wait_for\(.*, (?:[2-9]|[1-9]\d+)(?:\.\d*)?\))"
)
"""Seconds written down. Fractions of one stand where a test expects that nothing comes."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many of something; ``allowed`` names what still has more, and how many."""

    what: str
    most: int
    allowed: Mapping[str, int]

    def complaints(self, found: Mapping[str, int]) -> Iterator[str]:
        """Yield what has too many, and each allowance that nothing needs any more."""
        for name, number in found.items():
            most = self.allowed.get(name, self.most)
            if number > most:
                yield f"{name}: {number} {self.what}, at most {most}"
        for name in self.allowed:
            if found.get(name, 0) <= self.most:
                yield f"{name}: keeps to {self.most} {self.what}; delete its allowance in e2e/lint.py"


MODULES = Limit("modules", 12, {})
LINES = Limit(
    "lines",
    350,
    {
        "tests/apiserver/lock/escapes.py": 1274,
        "tests/apiserver/lock/test_second_lock.py": 437,
    },
)
PARAMETERS = Limit(
    f"functions with more than {MAX_PARAMETERS} parameters",
    0,
    {},
)


@dataclass(frozen=True)
class Source:
    """The Python files below ``root``, measured."""

    root: Path

    @cached_property
    def lines(self) -> dict[str, int]:
        """File → lines, of everything."""
        return {
            str(path.relative_to(self.root)): len(path.read_text(encoding="utf-8").splitlines())
            for folder in (PRODUCT, "e2e", "tests", "docs")
            for path in sorted((self.root / folder).rglob("*.py"))
        }

    @cached_property
    def shared_tests(self) -> list[str]:
        """Files that import from a file of tests, each with what it says."""
        return [
            f"{name}: {found.group().strip()}"
            for name in self.lines
            if not name.startswith(PRODUCT)
            for found in OUT_OF_A_TEST.finditer((self.root / name).read_text(encoding="utf-8"))
        ]

    @cached_property
    def impatient(self) -> list[str]:
        """Tests that give what must come a number of seconds, each with what it says."""
        return [
            f"{name}: {found.group()}"
            for name in self.lines
            if name.startswith("tests")
            for found in IMPATIENT.finditer((self.root / name).read_text(encoding="utf-8"))
        ]

    @cached_property
    def modules(self) -> dict[str, int]:
        """Folder → modules in it, of everything."""
        paths = map(Path, self.lines)
        return dict(Counter(str(path.parent) for path in paths if path.name != "__init__.py"))

    @cached_property
    def functions(self) -> list[tuple[str, Function]]:
        """All functions, each with its file."""
        return [
            (name, node)
            for name in self.lines
            for node in ast.walk(ast.parse((self.root / name).read_text(encoding="utf-8")))
            if isinstance(node, Function)
        ]

    @property
    def wide(self) -> dict[str, int]:
        """File → functions with too many parameters."""
        return dict(Counter(n for n, node in self.functions if parameters(node) > MAX_PARAMETERS))

    @property
    def lengths(self) -> list[int]:
        """Lines of each of the product's functions, signature and docstring included."""
        return sorted(
            (node.end_lineno or 0) - node.lineno + 1
            for name, node in self.functions
            if name.startswith(PRODUCT)
        )


def parameters(function: Function) -> int:
    """Count what a caller may give: a method's own object is not counted."""
    given = function.args
    names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def complaints(source: Source) -> Iterator[str]:
    """Yield what is too big."""
    yield from MODULES.complaints(source.modules)
    yield from LINES.complaints(source.lines)
    yield from PARAMETERS.complaints(source.wide)
    for found in source.shared_tests:
        yield f"{found}: what tests share belongs into a module that is no test"
    for found in source.impatient:
        yield f"{found}: on a busy machine it comes later; wait for PATIENCE_S of the testbed's clock"
    median = statistics.median(source.lengths)
    if median > MAX_MEDIAN_LINES:
        yield f"median function has {median:g} lines, at most {MAX_MEDIAN_LINES}"


def figures(source: Source) -> Iterator[str]:
    """Yield the figures of the house, a line each."""
    lengths = source.lengths
    folder, longest = (
        max(found, key=found.__getitem__) for found in (source.modules, source.lines)
    )
    product = [number for name, number in source.lines.items() if name.startswith(PRODUCT)]
    yield f"product: {len(product)} files, {sum(product)} lines, {_wheel_bytes() // 1000} kB as wheel"
    yield f"fullest folder: {folder}, {source.modules[folder]} modules"
    yield f"longest file: {longest}, {source.lines[longest]} lines"
    median, p95 = statistics.median(lengths), lengths[len(lengths) * 95 // 100]
    yield f"functions: {len(lengths)}, median {median:g} lines, p95 {p95}, longest {lengths[-1]}"
    yield f"functions with more than {MAX_PARAMETERS} parameters: {sum(source.wide.values())}"


def _wheel_bytes() -> int:
    with tempfile.TemporaryDirectory() as folder:
        return release.wheel(ROOT, Path(folder)).stat().st_size


def main() -> int:
    """Print figures, then complaints, and return their number."""
    source = Source(ROOT)
    print(*figures(source), sep="\n")
    found = list(complaints(source))
    for complaint in found:
        print(complaint, file=sys.stderr)
    return len(found) + charts.main([])


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
