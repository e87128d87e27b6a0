"""``python -m tests.apiserver.faults``: plans on real API servers, the figures as one line of JSON last."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.host.clock import elapsed_s
from tests.apiserver.faults.league import League, Planes, planes
from tests.apiserver.faults.plans import KINDS, Learned, Plan, every
from tests.apiserver.faults.programs import in_this_process
from tests.apiserver.faults.story import Stage
from tests.seeds import drawn
from tests.simulation.loop import _owned

REFERENCES = 2
TRIES = 4
"""A plan whose moment does not come is drawn anew, or played again, so often."""
LEAGUES = ("tasks", "processes")
"""What the programs of a league are."""


class Enough(Exception):
    """One violation was asked for, and is there."""


@dataclass
class Figures:
    """What all plans came to."""

    seed: int
    plans: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS[1:], 0))
    crash_points: int = 0
    real_processes: int = 0
    """Plans whose programs were processes of their own."""
    learned_writes: dict[str, int] = field(default_factory=dict)
    """By league: how many writes all runs without a fault had."""
    missed: list[str] = field(default_factory=list)
    """Plans asked for by name, or of every write, whose moment came at no try."""
    violations: int = 0
    seconds: float = 0.0

    def count(self, kind: str) -> None:
        """Count a plan whose moment came."""
        if kind == "crash":
            self.crash_points += 1
        else:
            self.plans[kind] += 1


def main() -> int:
    """Play; the exit code is 1 where anything was violated."""
    if os.environ.get("NUMBA_DISABLE_JIT") != "1":
        # What is compiled takes longer to load than it saves; read when the module is.
        again = [sys.executable, "-m", "tests.apiserver.faults", *sys.argv[1:]]
        os.execve(sys.executable, again, os.environ | {"NUMBA_DISABLE_JIT": "1"})
    asked = _arguments()
    seed = drawn() if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    figures, began_s = Figures(seed), elapsed_s()
    with tempfile.TemporaryDirectory(prefix="hansa-faults-") as folder, planes(Binaries()) as made:
        logging.basicConfig(filename=asked.log or Path(folder, "log"), level=logging.INFO)
        logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
        print(f"servers up after {elapsed_s() - began_s:.0f} s", flush=True)
        for separate in (False, True):
            if any(_counts(asked, separate=separate).values()):
                room = Path(folder, LEAGUES[separate])
                asyncio.run(_Plays(asked, figures, separate).play(made, room))
    figures.seconds = round(elapsed_s() - began_s, 1)
    print(json.dumps(vars(figures)))
    return 1 if figures.violations else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.apiserver.faults")
    parser.add_argument("--seed", type=int, help="drawn anew unless given")
    parser.add_argument("--every-write", action="store_true", help="crash around each, three ways")
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=int, default=0, metavar="N", help="plans of the kind")
    parser.add_argument("--plan", action="append", default=[], help="plans whose words hold this")
    parser.add_argument("--any", type=int, default=0, metavar="N", help="plans, the kind drawn too")
    parser.add_argument(
        "--real", type=int, default=0, metavar="N", help="the same, and each program a process"
    )
    parser.add_argument("--until-violation", action="store_true", help="stop at the first")
    parser.add_argument("--log", type=Path, help="what the programs say goes here")
    return parser.parse_args()


def _counts(asked: argparse.Namespace, *, separate: bool) -> dict[str, int]:
    if separate:
        return {"any": asked.real}
    counts = {name: int(getattr(asked, name)) for name in (*KINDS, "any", "every_write")}
    return counts | {"named": len(asked.plan)}


@dataclass
class _Plays:
    """The plans of one league."""

    asked: argparse.Namespace
    figures: Figures
    separate: bool

    async def play(self, made: Planes, room: Path) -> None:
        """1. A league. 2. What it does without a fault. 3. One plan after the other."""
        asyncio.get_running_loop().set_task_factory(_owned)
        room.mkdir()  # noqa: ASYNC240  # nobody waits yet
        league = League(made, room, self.separate)
        with in_this_process():
            try:
                await league.open()
                with contextlib.suppress(Enough):
                    await self._play(Stage(league))
            finally:
                await league.close()

    async def _play(self, stage: Stage) -> None:
        await stage.ready()
        books = []
        for _ in range(REFERENCES):
            self._tell("no fault", await stage.play(None))
            books.append(stage.league.book.copy())
        learned = Learned.common(books)
        self.figures.learned_writes[LEAGUES[self.separate]] = len(learned.writes())
        for number, kind in enumerate(self._kinds()):
            if not await self._one(stage, learned, kind, number):
                print(f"no moment came for a plan: {kind}", flush=True)
        for plan, kind in self._named(learned):
            if not await self._again_and_again(stage, plan, kind):
                self.figures.missed.append(str(plan))

    def _named(self, learned: Learned) -> Iterator[tuple[Plan, str]]:
        """Yield the plans that were asked for by name, and the crashes around every write."""
        if self.separate:
            return
        for kind in KINDS:
            for plan in every(kind, learned, separate=False):
                named = any(text in str(plan) for text in self.asked.plan)
                if named or (kind == "crash" and self.asked.every_write):
                    yield plan, kind

    def _kinds(self) -> Iterator[str]:
        rng = np.random.default_rng([self.figures.seed, self.separate])
        counts = _counts(self.asked, separate=self.separate)
        for kind in KINDS:
            yield from [kind] * counts.get(kind, 0)
        # Each kind in turn, so that twenty have some of all.
        first = int(rng.integers(len(KINDS)))
        yield from (KINDS[(first + number) % len(KINDS)] for number in range(counts["any"]))

    async def _one(self, stage: Stage, learned: Learned, kind: str, number: int) -> bool:
        rng = np.random.default_rng([self.figures.seed, self.separate, number])
        plans = every(kind, learned, separate=self.separate)
        for _ in range(TRIES):
            if await self._run(stage, plans[int(rng.integers(len(plans)))], kind):
                return True
        return False

    async def _again_and_again(self, stage: Stage, plan: Plan, kind: str) -> bool:
        for _ in range(TRIES):
            if await self._run(stage, replace(plan), kind):  # one that was played has counted calls
                return True
        return False

    async def _run(self, stage: Stage, plan: Plan, kind: str) -> bool:
        began_s = elapsed_s()
        wrong = await stage.play(plan)
        if plan.met:
            self.figures.count(kind)
            self.figures.real_processes += self.separate
        took = f"{elapsed_s() - began_s:.1f} s"
        self._tell(f"{took} {'' if plan.met else '(its moment never came) '}{plan}", wrong)
        if wrong:
            if self.asked.until_violation:
                raise Enough
            await stage.clear()
        return plan.met

    def _tell(self, what: str, wrong: list[str]) -> None:
        print(what, *(f"\n  VIOLATION {one}" for one in wrong), flush=True)
        self.figures.violations += len(wrong)


if __name__ == "__main__":
    sys.exit(main())
