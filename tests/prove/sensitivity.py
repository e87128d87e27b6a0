"""Puts each deliberate defect into a copy of the checkout and looks whether its suite sees it.

The copy without a defect passes the same suites, or nothing is proved. Caught means that tests failed,
not that they could not be run: an import error sees nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from queue import SimpleQueue

from tests.prove.defects.defect import Defect, DriftError
from tests.prove.defects.table import DEFECTS

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "_build", "dist", ".pytest_cache", ".hypothesis", ".ruff_cache"
)
LONGEST_S = 600
TESTS_FAILED, NOTHING_WRONG, BROKE = 1, 0, 2
SEED_VIOLATES, PLAN_VIOLATES = r"^seed \d+ violates:$", r"^  VIOLATION "
TAIL = 12
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What the suites saw."""

    caught: tuple[str, ...] = ()
    missed: dict[str, str] = field(default_factory=dict)
    """Defect → what happened instead."""
    faults: tuple[str, ...] = ()
    """Suites that fail without a defect."""

    @property
    def is_whole(self) -> bool:
        """Whether every defect was seen, by suites that pass without it."""
        return not self.missed and not self.faults


class Copy:
    """A copy of the checkout, in which one defect at a time is put."""

    def __init__(self, root: Path) -> None:
        """``root``: where it is."""
        self.root = root
        shutil.copytree(ROOT, root, ignore=LEFT_OUT, symlinks=True)

    def judge(self, defect: Defect, *, base: int) -> str:
        """Return why the defect is not seen; empty where it is."""
        path = self.root / defect.file
        text, stat = path.read_text(), path.stat()
        try:
            defect.spoil(self.root)
        except DriftError as error:
            return f"it no longer applies: {error}"
        try:
            return self._seen(defect, base)
        finally:
            path.write_text(text)
            # Compiled files go by time and size: the time has to be the old one again.
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def _seen(self, defect: Defect, base: int) -> str:
        said = []
        for run in self._runs(defect, base):
            code, tail = run()
            if code == TESTS_FAILED:
                return ""
            said.append(f"exit code {code}\n{tail}")
        return "\n".join(said)

    def _runs(self, defect: Defect, base: int) -> Iterator[Callable[[], tuple[int, str]]]:
        if defect.suites:
            yield lambda: self.tests(defect.suites)
        if defect.seeds:
            yield lambda: self.simulate(defect.seeds, base)
        if defect.plan:
            yield lambda: self.disturb(defect.plan)

    def tests(self, suites: Sequence[str], *options: str) -> tuple[int, str]:
        """Run tests; return the exit code and the last lines."""
        first = options or ("--exitfirst",)
        paths = [f"tests/{suite}" for suite in suites]
        code, said = self._run("pytest", "-q", "-p", "no:cacheprovider", *first, *paths)
        return code, _tail(said)

    def simulate(self, seeds: int, base: int) -> tuple[int, str]:
        """Play seeds up to the first violation."""
        asked = ("--seeds", str(seeds), "--base", str(base), "--until-violation")
        return self._told("tests.simulation", asked, SEED_VIOLATES)

    def disturb(self, plan: str) -> tuple[int, str]:
        """Play fault plans on real API servers up to the first violation."""
        asked = ("--plan", plan, "--until-violation")
        return self._told("tests.apiserver.faults", asked, PLAN_VIOLATES)

    def _told(self, module: str, asked: Sequence[str], violation: str) -> tuple[int, str]:
        """Run a program that tells violations: one that broke, or did not even begin, has shown nothing."""
        code, said = self._run(module, *asked)
        if code == TESTS_FAILED and not re.search(violation, said, re.MULTILINE):
            code = BROKE
        return code, _tail(said)

    def _run(self, module: str, *arguments: str) -> tuple[int, str]:
        environment = {
            **os.environ,
            "PYTHONPATH": f"{self.root / 'operator'}{os.pathsep}{self.root}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_DISABLE_JIT": "1",
            "CI": "true",
        }
        command = (sys.executable, "-m", module, *arguments)
        try:
            done = subprocess.run(
                command,
                cwd=self.root,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=LONGEST_S,
            )
        except subprocess.TimeoutExpired:
            return 124, f"not done within {LONGEST_S} s"
        return done.returncode, done.stdout + done.stderr


def _tail(said: str) -> str:
    return "\n".join(said.splitlines()[-TAIL:])


def measure(
    names: Sequence[str] = (), *, workers: int = 2, base: int = 0, say: Say = print
) -> Sensitivity:
    """Try all defects, or those named, some at a time, each worker in a copy of its own."""
    chosen = {name: DEFECTS[name] for name in names or DEFECTS}
    with tempfile.TemporaryDirectory(prefix="hansa-defects-") as folder:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(workers):
            copies.put(Copy(Path(folder) / str(number)))
        numbers = count(1)

        def judge(name: str) -> str:
            copy = copies.get()
            try:
                why = copy.judge(chosen[name], base=base)
            finally:
                copies.put(copy)
            say(f"{next(numbers):4d} of {len(chosen)}  {'MISSED' if why else 'caught'}  {name}")
            return why

        with ThreadPoolExecutor(workers) as pool:
            faults = pool.submit(_faults, copies, chosen)
            verdicts = dict(zip(chosen, pool.map(judge, chosen), strict=True))
            found = tuple(faults.result())
    missed = {name: why for name, why in verdicts.items() if why}
    return Sensitivity(tuple(name for name in chosen if name not in missed), missed, found)


def _faults(copies: SimpleQueue[Copy], chosen: dict[str, Defect]) -> list[str]:
    """Run every suite named without a defect; simulation seeds are played by who asks for them."""
    suites = sorted({suite for one in chosen.values() for suite in one.suites})
    if not suites:
        return []
    copy = copies.get()
    try:
        code, tail = copy.tests(suites, "--maxfail=5")
    finally:
        copies.put(copy)
    return [] if code == NOTHING_WRONG else [f"without a defect: exit code {code}\n{tail}"]
