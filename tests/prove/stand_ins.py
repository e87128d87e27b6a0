"""Stands in for the programs that ``make prove`` starts: each is asked as the real one is, and answers at once.

What is asked is read by the real program's own parser, or looked for in the real test file, so that an
option or a test that is gone is seen here and not after hours.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import stop_times
from tests.apiserver.faults import __main__ as faults
from tests.apiserver.fuzz import __main__ as fuzz
from tests.apiserver.lock import table
from tests.prove import runs
from tests.simulation import __main__ as simulation

WRITES = 5


@dataclass
class Programs:
    """Takes the place of ``subprocess.run``."""

    patch: pytest.MonkeyPatch
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Program → figures that are not the good ones."""
    silent: set[str] = field(default_factory=set)
    """Programs that say nothing, and test files whose tests are skipped."""
    failing: set[str] = field(default_factory=set)
    """Test files of which one test fails beside those that pass."""

    def __call__(self, command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        _, _, module, *options = command
        if module == "pytest":
            return self._tests(options)
        if module in self.silent:
            return subprocess.CompletedProcess(command, 0, "", "")
        good: dict[str, Callable[[list[str]], dict[str, Any]]] = {
            "tests.simulation": self._simulation,
            "tests.apiserver.faults": self._faults,
            "tests.apiserver.fuzz": self._fuzz,
            "tests.stop_times": lambda _: {"stop_p99_s": dict.fromkeys(stop_times.SITUATIONS, 9.5)},
        }
        figures = good[module](options) | self.said.get(module, {})
        bad = figures.get("violations", 0) > 0
        return subprocess.CompletedProcess(command, int(bad), json.dumps(figures), "")

    def _asked(self, module: Any, options: list[str]) -> Any:
        self.patch.setattr(sys, "argv", ["", *options])
        return module._arguments()

    def _simulation(self, options: list[str]) -> dict[str, Any]:
        asked = self._asked(simulation, options)
        return {
            "simulation_seeds": asked.seeds,
            "site_hours": 1.5,
            "crash_points": 4,
            "violations": 0,
        }

    def _faults(self, options: list[str]) -> dict[str, Any]:
        asked = self._asked(faults, options)
        figures = faults.Figures(asked.seed, crash_points=3 * WRITES * asked.every_write)
        figures.plans = {kind: getattr(asked, kind) for kind in figures.plans}
        figures.learned_writes = dict.fromkeys(faults.LEAGUES, WRITES)
        return vars(figures)

    def _fuzz(self, options: list[str]) -> dict[str, Any]:
        asked = self._asked(fuzz, options)
        return dict.fromkeys(fuzz.SUMMED, 0) | {"fuzz_rounds": asked.rounds, "hostile_grants": 7}

    def _tests(self, options: list[str]) -> subprocess.CompletedProcess[str]:
        reports = [text for text in options if text.startswith("--junitxml=")]
        if not reports:
            # Of a defect: it is caught at the first failure, and without it all pass.
            return subprocess.CompletedProcess((), int("--exitfirst" in options), "", "")
        file = next(text for text in options if text.endswith(".py"))
        words = options[options.index("-k") + 1].split(" or ") if "-k" in options else []
        text = (runs.ROOT / file).read_text()
        assert all(word in text for word in words), words
        counts = table.counts(table.rows())
        passed = {runs.LOCK: counts["refused_by_lock"], runs.JUDGE: counts["refused_by_judge"]}
        end = '<skipped message="needs Linux"/>' if file in self.silent else ""
        bad = "<testcase name='x'><failure message='they differ'/></testcase>" * (
            file in self.failing
        )
        cases = f"<testcase name='x'>{end}</testcase>" * passed.get(file, 1) + bad
        Path(reports[0].partition("=")[2]).write_text(f"<testsuite>{cases}</testsuite>")
        return subprocess.CompletedProcess((), 0, "", "")
