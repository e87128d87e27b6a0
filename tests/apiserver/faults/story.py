"""A plan played: jobs are applied, one thing goes wrong, then nothing; all has to settle as it always does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from e2e.testbed.host.clock import elapsed_s
from hansa.api.kinds import AIJOB, SOVEREIGNNODE, WORKGRANT
from hansa.api.meta import API_VERSION, JOB_UID_LABEL
from hansa.errors import HansaError, NotFound
from hansa.ports import Manifest
from tests.apiserver.faults.audit import Invariants, Log, is_of_a_run
from tests.apiserver.faults.league import SITES, League
from tests.apiserver.faults.plans import Plan
from tests.apiserver.faults.proxy import Undisturbed
from tests.residency_kit import EVERYWHERE, stands_in

POLL_S = 0.05
QUIET_S, LONGEST_QUIET_S = 1.0, 60.0
LONGEST_FAULT_S, SETTLED_S = 30.0, 180.0
"""Longest of a fault, and from the end of all: time-outs, back-offs, leases and lists that repair what was not seen."""
SPEC: Manifest = {
    "pool": "league",
    "image": "hansa.local/ray@sha256:" + "0" * 64,
    "entrypoint": ["python3", "train.py"],
    "ray": {
        "version": "2.60.0",
        "workers": {
            "count": 1,
            "gpus": 1,
            "gpuClass": "nvidia-rtx-4090",
            "cpu": "1",
            "memory": "1Gi",
        },
    },
}
LEFT = ("/api/v1/persistentvolumes", "/apis/ray.io/v1/rayjobs", "/api/v1/configmaps")


class NotSettled(AssertionError):
    """It has not come to what it always comes to."""


@dataclass
class Stage:
    """A league, its audit logs, and the plans played on it."""

    league: League
    invariants: Invariants = field(default_factory=lambda: Invariants(SITES))
    logs: list[Log] = field(default_factory=list)
    _number: int = 0

    def __post_init__(self) -> None:
        self.logs = [Log(name, plane.audit_log) for name, plane in self.league.planes]

    async def ready(self) -> None:
        """Wait until the members may be given work."""

        async def all_ready() -> str:
            page = await self.league.hub.list(SOVEREIGNNODE.path())
            rows = [_conditions(one).get("Ready") or {} for one in page.items]
            away = [
                f"{row.get('reason')}: {row.get('message')}"
                for row in rows
                if row.get("status") != "True"
            ]
            return f"nodes: {away}" if away or len(rows) < len(SITES) else ""

        await self._until(all_ready, SETTLED_S)
        await self.clear()

    async def play(self, plan: Plan | None) -> list[str]:
        """Play a plan, or a run without a fault; returns what was violated."""
        self._number += 1
        self.league.book.open_anew()
        if plan is not None:
            plan.league = self.league
            self._put(plan)
        before = len(self.invariants.violations)
        wrong: list[str] = []
        try:
            await self._live(plan)
        except NotSettled as error:
            wrong.append(str(error))
        finally:
            await self._mend(plan)
        self.invariants.read(self.logs)
        wrong += self.invariants.violations[before:]
        for program in self.league.programs.values():
            wrong += [f"{program.name} ended by itself: {why}" for why in program.deaths]
            program.deaths.clear()
        return wrong

    async def _live(self, plan: Plan | None) -> None:
        """1. Jobs. 2. The fault. 3. Everything settles. 4. Writes stop. 5. Nothing is left."""
        work, hold = await self._submit()
        await self._until(lambda: self._is_running(hold), SETTLED_S, during=plan)
        await self._delete(hold)
        await self._until(lambda: self._is_settled(work, hold), SETTLED_S, during=plan)
        await self._mend(plan)
        await self._until(lambda: self._is_settled(work, hold), SETTLED_S)
        await self._quiet()
        await self._delete(work)
        await self._until(self._is_nothing_left, SETTLED_S)

    async def clear(self) -> None:
        """Have nothing left after a plan that went wrong; raises ``NotSettled`` where that cannot be."""
        await self.league.hub.delete(AIJOB.path("clinic"))
        await self._until(self._is_nothing_left, 2 * SETTLED_S)
        await self._quiet()

    def _put(self, plan: Undisturbed) -> None:
        for line in self.league.lines.values():
            line.plan = plan

    async def _mend(self, plan: Plan | None) -> None:
        """End what the plan does."""
        self._put(Undisturbed())
        if plan is None:
            return
        for task in plan.tasks:
            if plan.met and not plan.over.is_set():
                await asyncio.wait((task,), timeout=15)
            task.cancel()
        for line in self.league.lines.values():
            line.mend()
        for program in self.league.programs.values():
            await program.back()
        for line in self.league.lines.values():
            line.refused = False

    # ---- people ----------------------------------------------------------------------------

    async def _submit(self) -> tuple[str, str]:
        """Apply one job that may run at one member only, and is deleted there, and one that may run anywhere."""
        hold = await self._apply(f"hold-{self._number}", stands_in("EE"))
        for machines in self.league.machines.values():
            machines.holding.add(hold["metadata"]["uid"])
        work = await self._apply(f"work-{self._number}", EVERYWHERE)
        return work["metadata"]["name"], hold["metadata"]["name"]

    async def _apply(self, name: str, residency: Manifest) -> Manifest:
        body = {"apiVersion": API_VERSION, "kind": "AIJob", "metadata": {"name": name}}
        spec = {**SPEC, "residency": residency}
        return await self.league.hub.create(AIJOB.path("clinic"), {**body, "spec": spec})

    async def _delete(self, name: str) -> None:
        await self.league.hub.delete(AIJOB.path("clinic", name))

    # ---- looks -----------------------------------------------------------------------------

    async def _is_running(self, name: str) -> str:
        job = await self.league.hub.get(AIJOB.path("clinic", name))
        return "" if _condition(job, "Running") == "True" else f"not running: {_words(job)}"

    async def _is_settled(self, work: str, hold: str) -> str:
        """The one has succeeded and is released, the other is gone, and no run is left."""
        job = await self.league.hub.get(AIJOB.path("clinic", work))
        if _condition(job, "Succeeded") != "True":
            return f"not succeeded: {_words(job)}"
        try:
            return f"not gone: {_words(await self.league.hub.get(AIJOB.path('clinic', hold)))}"
        except NotFound:
            return await self._runs_left()

    async def _runs_left(self) -> str:
        for name in SITES:
            spaces = (await self.league.admins[name].list("/api/v1/namespaces")).items
            names = [one["metadata"]["name"] for one in spaces]
            if left := [one for one in names if is_of_a_run(one)]:
                return f"left at {name}: {left}"
        grants = (await self.league.hub.list(WORKGRANT.path())).items
        return f"grants left: {[g['metadata']['name'] for g in grants]}" if grants else ""

    async def _is_nothing_left(self) -> str:
        jobs = (await self.league.hub.list(AIJOB.path())).items
        if jobs:
            return f"jobs left: {[_words(one) for one in jobs]}"
        for name in SITES:
            for path in LEFT:
                page = await self.league.admins[name].list(path, labels=JOB_UID_LABEL)
                if page.items:
                    return f"left at {name}: {path} {page.items[0]['metadata']['name']}"
        return await self._runs_left()

    async def _quiet(self) -> None:
        """Nothing is written any more but signs of life."""
        book = self.league.book
        end_s, news, since_s = elapsed_s() + LONGEST_QUIET_S, book.news, elapsed_s()
        while elapsed_s() - since_s < QUIET_S:
            if elapsed_s() > end_s:
                raise NotSettled(f"writes do not stop: {book.last_write}")
            await asyncio.sleep(POLL_S)
            if book.news != news:
                news, since_s = book.news, elapsed_s()

    async def _until(
        self, look: Callable[[], Awaitable[str]], within_s: float, *, during: Plan | None = None
    ) -> None:
        """Look until there is nothing to complain of; a fault may last for a while before that."""
        end_s = elapsed_s() + within_s + (0 if during is None else LONGEST_FAULT_S)
        while True:
            try:
                why = await look()
            except HansaError as error:
                why = str(error)
            if not why:
                return
            for program in self.league.programs.values():
                program.look()
            if elapsed_s() > end_s:
                raise NotSettled(f"not settled after {within_s:.0f} s: {why}")
            await asyncio.sleep(POLL_S)


def _conditions(thing: Manifest) -> dict[str, Any]:
    return {c["type"]: c for c in (thing.get("status") or {}).get("conditions") or ()}


def _condition(thing: Manifest, kind: str) -> str:
    return str(_conditions(thing).get(kind, {}).get("status", ""))


def _words(job: Manifest) -> str:
    status, rows = job.get("status") or {}, _conditions(job).values()
    said = " ".join(f"{c['type']}={c['status']}/{c['reason']}" for c in rows)
    return f"{job['metadata']['name']} node={status.get('node')} epoch={status.get('epoch')} {said}"
