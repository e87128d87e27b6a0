"""What breaks: programs, lines, clocks, machines, memories and stores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.simulation.invariants import Watchman
from tests.simulation.league import HUB, HUBS, SITES, League
from tests.simulation.loop import Clock
from tests.simulation.servers.faults import Line, Log, Rates, Stall

LONGEST_SKEW_S = 12.0
WILD_S = 4000.0
"""A clock may be wrong by up to so much for a while; its owner must notice."""
LONGEST_PAUSE_S = 500.0
LONGEST_UNATTENDED_S = 600
WAIT_AFTER_RESTORE_S = LONGEST_UNATTENDED_S + 300.0
"""The hub stays away for so long when its store was restored: docs/how-to/back-up.md."""
LONGEST_STALL_S = 300.0
STALLED = (("create",), ("create", "replace", "merge", "delete"))
"""Where a program stalls: before it makes something, or before any write."""
At = Callable[..., None]


class Troubles:
    """Breaks parts of a league. Each act is drawn by the story, and draws how bad it is."""

    def __init__(
        self, league: League, watchman: Watchman, rng: np.random.Generator, log: Log, at: At
    ) -> None:
        """``at``: has something done later."""
        self._league, self._watchman = league, watchman
        self._rng, self._log, self._at = rng, log, at
        self.crash_points = 0
        self._wild: list[tuple[Clock, float]] = []
        """Clocks that are far off, and what they will be set to."""
        self.last_until_s = 0.0
        """Trouble that lasts longer than the story had in mind is over then."""

    def spoil_all(self) -> None:
        """Set every clock a little wrong, and every line."""
        for clock in self._clocks():
            clock.offset_s = self._skew_s()
        for program in self._league.programs.values():
            for line in program.lines.values():
                line.rates = self._rates(line)

    def mend_all(self) -> None:
        """Bring everything back that is away, and let every line be honest."""
        while self._wild:
            self._tame()
        for machine in self._league.machines.values():
            machine.cut_until_s = 0.0
        for program in self._league.programs.values():
            program.start()
            if program.process is not None:
                program.process.wake()
            for line in program.lines.values():
                line.stall = None
                line.rates, line.there_until_s, line.back_until_s = Rates(), 0.0, 0.0
                self.crash_points -= len(line.kill_at)
                line.kill_at.clear()

    def _tame(self) -> None:
        """Set the clock right that has been far off for longest."""
        if self._wild:
            clock, clock_offset_s = self._wild.pop(0)
            clock.offset_s = clock_offset_s

    def _skew_s(self) -> float:
        return LONGEST_SKEW_S * (2 * self._rng.random() - 1)

    def _clocks(self) -> list[Clock]:
        """Return everybody's clocks; the API servers' are right."""
        programs = [program.clock for program in self._league.programs.values()]
        return programs + [machine.clock for machine in self._league.machines.values()]

    def jump(self) -> None:
        """Set somebody's clock anew: mostly within what is allowed, or far off for a while."""
        clocks = self._clocks()
        clock = clocks[int(self._rng.integers(len(clocks)))]
        clock.offset_s = self._skew_s()
        if self._rng.random() < 0.3:
            self._wild.append((clock, clock.offset_s))
            asyncio.get_running_loop().call_later(300 * self._rng.random(), self._tame)
            clock.offset_s = WILD_S * (2 * self._rng.random() - 1)

    def _rates(self, line: Line) -> Rates:
        scale = float(self._rng.choice([0.0, 0.3, 1.0, 3.0]))
        own = not line.name.endswith(f">{HUB}") or line.name.startswith(HUB)
        for _ in range(int(self._rng.integers(0, 3))):
            # Crash points lie where jobs are: the first hundred writes are of the league's founding.
            at = line.writes + 1 + int(self._rng.integers(0, 400))
            line.kill_at[at] = str(self._rng.choice(["before", "after"]))
            self.crash_points += 1
        return Rates(
            lost=0.01 * scale,
            unanswered=0.01 * scale,
            busy=0.01 * scale,
            conflict=0.01 * scale,
            hung=0.0 if own else 0.003 * scale,
            late=0.0 if own else 0.003 * scale,
            gone=0.05 * scale,
            swallowed=0.003 * scale,
            lag_s=0.2 * scale,
        )

    def kill(self, name: str) -> None:
        """Kill a program for a while."""
        longest_s = LONGEST_PAUSE_S * self._rng.random()
        self._league.programs[name].kill(pause_s=1 + longest_s * self._rng.random())

    def stall(self, name: str) -> None:
        """Have a hub stall between its next decision and the request: longer than it leads unseen.

        Half the time those who lead by then die as it ends, and nobody takes back at once what the request makes.
        """
        seconds = LONGEST_STALL_S * (0.2 + 0.8 * self._rng.random())
        verbs = STALLED[int(self._rng.integers(len(STALLED)))]
        pause_s = 1 + LONGEST_STALL_S * self._rng.random() if self._rng.random() < 0.5 else 0.0

        def end() -> None:
            for other in HUBS:
                if pause_s and other != name:
                    self._league.programs[other].kill(pause_s=pause_s)

        self._league.programs[name].lines[HUB].stall = Stall(frozenset(verbs), seconds, end)

    def cut(self) -> None:
        """Cut the way between some members and the hub, or one direction of it."""
        count = int(self._rng.choice([1, 1, 1, 2, 3]))
        end_s = asyncio.get_running_loop().time()
        end_s += float(self._rng.choice([20, 100, 300, 800])) * self._rng.random()
        way = str(self._rng.choice(["there", "back", "both"]))
        for site in self._rng.choice(list(SITES), count, replace=False):
            line = self._league.programs[str(site)].lines[HUB]
            self._log(f"{line.name} is cut: {way}, until {end_s:.0f}")
            if way != "back":
                line.there_until_s = end_s
            if way != "there":
                line.back_until_s = end_s

    def cut_machine(self, site: str) -> None:
        """Cut a member's machine off from its control plane."""
        now_s = asyncio.get_running_loop().time()
        lasts_s = float(self._rng.choice([60, 300, 900])) * self._rng.random()
        self._league.machines[site].cut_until_s = now_s + lasts_s

    def back_up(self) -> None:
        """Back the hub's store up, and restore it later."""
        backup = self._league.hub_server.backup()
        loop = asyncio.get_running_loop()
        self._at(loop.time() + 50 + 500 * self._rng.random(), self._restore, backup)

    def _restore(self, backup: Any) -> None:
        """Restore the hub's store, as the documentation says: hub away, wait, hub back."""
        bump = int(self._rng.choice([0, 1_000_000]))
        for name in HUBS:
            self._league.programs[name].down = True
            self._league.programs[name].kill(pause_s=0)
        self._league.hub_server.restore(backup, bump=bump)
        self._watchman.restored()
        back_s = asyncio.get_running_loop().time() + WAIT_AFTER_RESTORE_S
        self.last_until_s = max(self.last_until_s, back_s)
        asyncio.get_running_loop().call_at(back_s - 1, self._hub_back)

    def _hub_back(self) -> None:
        for name in HUBS:
            self._league.programs[name].down = False
            self._league.programs[name].start()

    def forget(self, site: str) -> None:
        """Kill an agent and take its epoch memory; the guard may have ended its runs meanwhile."""
        server = self._league.servers[site]
        self._league.forgetful.add(site)
        self._league.programs[site].kill(pause_s=1 + 100 * self._rng.random())
        for key in [k for k in server.objects["/api/v1/configmaps"] if "hansa-epochs" in k[1]]:
            server._remove("/api/v1/configmaps", key)

    def compact(self) -> None:
        """Let every server forget its watch log."""
        for server in (self._league.hub_server, *self._league.servers.values()):
            server.compact()
