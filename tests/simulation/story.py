"""One seed: what people do, what breaks, and when; then a time without faults, in which all settles."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hansa.api.kinds import AIJOB, MEMBERPOLICY
from hansa.api.meta import API_VERSION
from hansa.ports import Manifest
from tests.residency_kit import EVERYWHERE, stands_in
from tests.simulation.happenings.law import Laws
from tests.simulation.happenings.replays import Replays
from tests.simulation.happenings.troubles import LONGEST_UNATTENDED_S, Troubles
from tests.simulation.invariants import JOBS, Watchman
from tests.simulation.league import HUBS, MOST_GPUS, SITES, League, in_memory
from tests.simulation.loop import VirtualLoop
from tests.simulation.servers.apiserver import LEASES

FAULTS_FROM_S, FAULTS_UNTIL_S = 30.0, 1500.0
SETTLED_AFTER_S = 4800.0
"""Longest: a relist that repairs a swallowed event, an unattended limit, and the longest runs one after the other."""
HEALED_AFTER_S = 400.0
"""A hub reads all again every 300 s, some collections up to a quarter later: what was swallowed is heard then."""
QUIET_S = 240.0
CLASS = "nvidia-l40s"
SPEC = {
    "pool": "league",
    "residency": EVERYWHERE,
    "image": "hansa.local/ray@sha256:" + "0" * 64,
    "entrypoint": ["python3", "train.py"],
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one seed showed."""

    seed: int
    violations: tuple[str, ...]
    digest: str
    """SHA-256 of the log: the same seed gives the same."""
    tail: tuple[str, ...]
    site_hours: float
    crash_points: int
    runs: int
    faults: dict[str, int] = field(default_factory=dict)


def play(seed: int, *, last: int = 60) -> Verdict:
    """Play one seed to its end, or to its first violation."""
    logging.disable(logging.CRITICAL)
    gc.collect()  # what the last league has left
    gc.freeze()
    gc.disable()
    loop = VirtualLoop()
    try:
        with in_memory():
            return loop.run_until_complete(_Story(seed).play(last))
    finally:
        loop.close()
        gc.enable()
        logging.disable(logging.NOTSET)


class _Story:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rng = self._stream("story")
        self._lines: list[str] = []
        self._faults: dict[str, int] = {}

    def _stream(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self._seed, zlib.crc32(name.encode())])

    def _log(self, text: str) -> None:
        self._lines.append(f"{asyncio.get_running_loop().time():.3f} {text}")

    async def play(self, last: int) -> Verdict:
        loop = asyncio.get_running_loop()
        self.league = League(self._stream, self._log)
        self.laws = Laws(self.league, self._stream("laws"))
        self.watchman = Watchman(self.league, self.laws, self._log, loop.time)
        self.replays = Replays(self.league, self._stream("replays"), FAULTS_UNTIL_S)
        loop.set_exception_handler(self._fault)
        self.troubles = Troubles(
            self.league, self.watchman, self._stream("troubles"), self._log, self._at
        )
        await self.league.found()
        for program in self.league.programs.values():
            program.start()
        await self._live()
        await self.league.close()
        text = "\n".join(self._lines).encode()
        return Verdict(
            seed=self._seed,
            violations=tuple(self.watchman.violations),
            digest=hashlib.sha256(text).hexdigest(),
            tail=tuple(self._lines[-last:]),
            site_hours=loop.time() * len(SITES) / 3600,
            crash_points=self.troubles.crash_points,
            runs=self.watchman.runs,
            faults=self._faults | {"replay": self.replays.count},
        )

    async def _live(self) -> None:
        """1. Faults. 2. None, until all is settled. 3. Quiet. 4. All jobs are deleted."""
        self._plan()
        for act in (self._until_mended, self._settle, self._stay_quiet, self._tidy_up):
            await act()
            if self.watchman.violations:
                return

    async def _wait(self, until_s: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < until_s and not self.watchman.violations:  # time passes here
            await asyncio.sleep(min(5.0, until_s - loop.time()))
            self.watchman.check_laws()

    # What happens.

    def _plan(self) -> None:
        for number in range(int(self._rng.integers(6, 16))):
            self._at(self._when(0.7), self._submit, number)
        for name in SITES:
            self._plan_member(name)
        self.troubles.spoil_all()
        for program in self.league.programs.values():
            self._often(3, self.troubles.kill, program.name)
        for name in HUBS:
            self._often(4, self.troubles.stall, name)
        self._often(4, self.troubles.jump)
        self._often(6, self.troubles.cut)
        if self._rng.random() < 0.25:
            self._at(FAULTS_FROM_S + 500 * self._rng.random(), self.troubles.back_up)
        for _ in range(3):
            self._at(self._when(), self.troubles.compact)

    def _plan_member(self, name: str) -> None:
        switch = str(self._rng.choice(["Paused", "Stopped"]))
        if self._rng.random() < 0.3:
            self._at(self._when(), self._switch, name, switch)
        for act in (self.troubles.forget, self.troubles.cut_machine, self._change_law):
            if self._rng.random() < 0.3:
                self._at(self._when(), act, name)

    def _often(self, below: int, act: Any, *args: Any) -> None:
        """Do something a drawn number of times."""
        for _ in range(int(self._rng.integers(0, below))):
            self._at(self._when(), act, *args)

    def _when(self, share: float = 0.95) -> float:
        return FAULTS_FROM_S + (FAULTS_UNTIL_S - FAULTS_FROM_S) * share * self._rng.random()

    def _at(self, when_s: float, act: Any, *args: Any) -> None:
        asyncio.get_running_loop().call_at(when_s, self._do, act, *args)

    def _do(self, act: Any, *args: Any) -> None:
        name = act.__name__.lstrip("_")
        self._faults[name] = self._faults.get(name, 0) + 1
        words = (one for one in args if isinstance(one, str | int))
        self._log(f"story: {name} {' '.join(map(str, words))}")
        outcome = act(*args)
        if asyncio.iscoroutine(outcome):
            # Servers answer at once.
            try:
                outcome.send(None)
            except StopIteration:
                return

    async def _submit(self, number: int) -> None:
        rng, spec = self._rng, dict(SPEC)
        count = int(rng.choice([1, 1, 2, 4]))
        workers = {"count": count, "gpus": 1, "gpuClass": CLASS, "cpu": "1", "memory": "1Gi"}
        spec["ray"] = {"version": "2.60.0", "workers": workers}
        spec["disconnection"] = {
            "policy": str(rng.choice(["Continue", "Continue", "Stop"])),
            "maxUnattendedSeconds": int(rng.choice([60, 120, 300, LONGEST_UNATTENDED_S])),
        }
        if rng.random() < 0.5 and count <= 2:
            allow = [["EE"], ["EE", "LV"], ["LT", "LV"], ["LV"]][int(rng.integers(0, 4))]
            spec["residency"] = stands_in(*allow)
        spec["priority"] = int(rng.choice([0, 0, 50]))
        tenant = str(rng.choice(list(MOST_GPUS)))
        body = {"apiVersion": API_VERSION, "kind": "AIJob", "metadata": {"name": f"job-{number}"}}
        made = await self.league.hub_server.create(AIJOB.path(tenant), {**body, "spec": spec})
        self.watchman.acknowledged[made["metadata"]["uid"]] = made
        if rng.random() < 0.25:
            self._at(self._soon(), self._delete, tenant, made["metadata"]["name"])
        elif rng.random() < 0.2:
            self._at(self._soon(), self._suspend, tenant, made["metadata"]["name"])

    def _soon(self) -> float:
        return asyncio.get_running_loop().time() + 200 * self._rng.random()

    async def _delete(self, tenant: str, name: str) -> None:
        self.watchman.given_up.add(self._uid(tenant, name))
        await self.league.hub_server.delete(AIJOB.path(tenant, name))

    def _uid(self, tenant: str, name: str) -> str:
        found = self.league.hub_server.objects[JOBS].get((tenant, name))
        return found["metadata"]["uid"] if found else ""

    async def _suspend(self, tenant: str, name: str) -> None:
        if self._uid(tenant, name):
            self._at(self._soon(), self._resume, tenant, name)
            await self._patch(tenant, name, {"suspend": True})

    async def _resume(self, tenant: str, name: str) -> None:
        if self._uid(tenant, name):
            await self._patch(tenant, name, {"suspend": False})

    async def _patch(self, tenant: str, name: str, spec: Manifest) -> None:
        await self.league.hub_server.merge(AIJOB.path(tenant, name), {"spec": spec})

    async def _change_law(self, site: str) -> None:
        until_s = asyncio.get_running_loop().time() + await self.laws.change(site)
        self._at(until_s, self.laws.change_back, site)

    def _fault(self, _: Any, context: dict[str, Any]) -> None:
        """Hear of what nobody catches: a callback of the league's, or an act of the story's."""
        error = context.get("exception")
        self.watchman.accuse(f"nobody catches {error!r}: {context.get('message')}")

    async def _switch(self, site: str, to: str) -> None:
        if to != "Open":
            self._at(self._soon(), self._switch, site, "Open")
        path = MEMBERPOLICY.path(name="local")
        await self.league.servers[site].merge(path, {"spec": {"switch": to}})

    # When faults are over.

    async def _until_mended(self) -> None:
        await self._wait(FAULTS_UNTIL_S)
        await self._wait(self.troubles.last_until_s)
        self.troubles.mend_all()
        for site in SITES:
            await self._switch(site, "Open")
            await self.laws.change_back(site)
        for tenant, name in list(self.league.hub_server.objects[JOBS]):
            await self._patch(tenant, name, {"suspend": False})
        self._log("faults are over")

    async def _settle(self) -> None:
        end_s = asyncio.get_running_loop().time() + SETTLED_AFTER_S
        while asyncio.get_running_loop().time() < end_s and not self._is_settled():
            await self._wait(asyncio.get_running_loop().time() + 30)
            if self.watchman.violations:
                return
        self.watchman.check_settled()
        for program in self.league.programs.values():
            for why in program.deaths:
                self.watchman.accuse(f"{program.name} ended by itself: {why}")

    def _is_settled(self) -> bool:
        """Look whether the check would pass, without accusing anybody."""
        kept = self.watchman.violations[:]
        mark = len(self._lines)
        self.watchman.check_settled()
        passed = self.watchman.violations == kept
        self.watchman.violations[:] = kept
        del self._lines[mark:]
        return passed

    async def _stay_quiet(self) -> None:
        """Nothing is written any more but signs of life."""
        healed_s = FAULTS_UNTIL_S + HEALED_AFTER_S
        now_s = max(asyncio.get_running_loop().time(), healed_s)
        await self._wait(now_s + 90)
        before = dict(self.watchman.writes)
        await self._wait(now_s + 90 + QUIET_S)
        for kind, count in self.watchman.writes.items():
            if count != before.get(kind) and not kind.endswith((LEASES, MEMBERPOLICY.plural)):
                self.watchman.accuse(f"writes do not stop: {kind}")

    async def _tidy_up(self) -> None:
        for tenant, name in list(self.league.hub_server.objects[JOBS]):
            await self._delete(tenant, name)
        await self._wait(asyncio.get_running_loop().time() + 60)
        self.watchman.check_settled()
