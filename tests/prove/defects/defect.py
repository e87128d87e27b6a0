"""A deliberate defect: a small change of what is shipped, and the suite that has to see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PRODUCT = "operator/hansa"
MEMBER_CHART, HUB_CHART = "helm/hansa-member", "helm/hansa-hub"


class DriftError(ValueError):
    """A defect that no longer applies: the code it changes has moved on."""


@dataclass(frozen=True, slots=True)
class Defect:
    """A text in a file, and what takes its place."""

    file: str
    """From the root of the checkout."""
    old: str
    """Stands there exactly once."""
    new: str
    suites: tuple[str, ...] = ()
    """Tests of which at least one has to fail: paths from ``tests``, or one test of a file."""
    seeds: int = 0
    """Simulation seeds of which at least one has to show a violation; with ``suites``: either."""
    plan: str = ""
    """Words of the fault plans on real API servers of which one has to show a violation; with others: any."""

    def spoil(self, root: Path) -> None:
        """Put it into the checkout at ``root``."""
        (root / self.file).write_text(self.spoilt(root))

    def spoilt(self, root: Path) -> str:
        """Return the file's text with the defect in it."""
        text = (root / self.file).read_text()
        found = text.count(self.old)
        if found != 1:
            raise DriftError(f"{self.file} holds the text {found} times: {self.old!r}")
        return text.replace(self.old, self.new)


def product(file: str, old: str, new: str, *suites: str, seeds: int = 0, plan: str = "") -> Defect:
    """Return a defect of the package."""
    return Defect(f"{PRODUCT}/{file}", old, new, suites, seeds, plan)


def chart(file: str, old: str, new: str, *suites: str) -> Defect:
    """Return a defect of a chart, seen where its documents are rendered."""
    return Defect(f"helm/{file}", old, new, suites or ("programs/charts/test_charts.py",))
