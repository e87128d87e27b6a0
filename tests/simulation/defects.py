"""Deliberate defects of the shipped code, one function each: the simulation has to see every one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hansa.adapters.kube.reflector import Reflector
from hansa.hub.executor import Executor
from hansa.member.hub_link.contact import Contact
from hansa.member.judge import Judge
from hansa.member.runs.run_controller import RunController
from hansa.member.runs.run_objects import RunObjects
from hansa.process.workqueue import WorkQueue
from hansa.reconcile import fencing
from hansa.reconcile.hub import derive, snapshot
from hansa.reconcile.member import lifecycle


@dataclass(frozen=True, slots=True)
class Defect:
    """A function, and what takes its place."""

    owner: Any
    name: str
    instead: Any


def _nothing(*_: Any, **__: Any) -> tuple[Any, ...]:
    return ()


async def _never(*_: Any, **__: Any) -> None:
    return


def _after_end_at_once(run: lifecycle.Run) -> Any:
    if run.reported.released:
        return lifecycle.CleanUp() if run.namespace == "Active" else None
    return lifecycle.Release(lifecycle.end_reason(run.record))


def _fence_of_silence(epoch: fencing.EpochFacts, now_s: float, *, skew_s: float) -> fencing.Fence:  # noqa: ARG001
    over = epoch.released or epoch.refused or now_s > epoch.last_contact_s + 30
    return fencing.Fence(over=over, at_s=now_s, why="it is silent")


def _fence_without_contract(
    epoch: fencing.EpochFacts, now_s: float, *, skew_s: float
) -> fencing.Fence:
    at_s = max(epoch.granted_s, epoch.not_after_s) + skew_s
    over = epoch.released or epoch.refused or now_s > at_s
    return fencing.Fence(over=over, at_s=at_s, why="its grant has ended")


def _close_without_delete(epoch: derive.Epoch, why: str) -> Iterator[Any]:
    grant = epoch.grant
    if not epoch.settled and not grant.stopping:
        yield derive.CancelGrant(grant.namespace, grant.name, grant.uid, why)


def _lose_failed(self: Any, key: Any, *, after_s: float = 0.0) -> None:  # noqa: ARG001
    self.done(key)


async def _end_in_silence(self: RunController, entry: Any, reason: Any, message: str = "") -> None:  # noqa: ARG001
    """Clean up before the end is durable, and never make it so."""
    await self._objects.clean_up(entry.name)


class _ForeverYoung:
    def __get__(self, held: Any, owner: Any = None) -> float:
        return 0.0


DEFECTS: Mapping[str, Defect] = {
    "released before the namespace is gone": Defect(lifecycle, "_after_end", _after_end_at_once),
    "cleaned up, and the end never remembered": Defect(RunController, "_end", _end_in_silence),
    "contact that never grows old": Defect(Contact, "age_s", _ForeverYoung()),
    "deadlines not watched": Defect(RunController, "watch_deadlines", None),
    "granted elsewhere before the fence": Defect(
        derive.JobCase, "all_over", property(lambda _: True)
    ),
    "fence of mere silence": Defect(snapshot, "fence", _fence_of_silence),
    "fence that forgets the contract": Defect(snapshot, "fence", _fence_without_contract),
    "run never cleaned up": Defect(RunObjects, "clean_up", _never),
    "finalizer never taken off": Defect(derive, "_unpin", _nothing),
    "grants of finished jobs left": Defect(derive, "_close", _close_without_delete),
    "failed keys never come back": Defect(WorkQueue, "failed", _lose_failed),
    "undecided grants never judged again": Defect(Judge, "_again", _nothing),
    "orphaned grants left alone": Defect(derive, "_finished", _nothing),
    "end never told": Defect(RunController, "_report_finished", _never),
    "grants not deleted": Defect(Executor, "_delete_grant", _never),
    "stop never carried to the member": Defect(Executor, "_cancel_grant", _never),
    "list that repairs nothing": Defect(Reflector, "replace", _nothing),
    "grants whose jobs are gone never ended": Defect(Executor, "_cancel_orphan", _never),
}


async def _stand_still(_: RunController) -> None:
    await asyncio.Event().wait()


@contextlib.contextmanager
def broken(name: str) -> Iterator[None]:
    """Put one defect in."""
    defect = DEFECTS[name]
    before = getattr(defect.owner, "__dict__", {})[defect.name]
    instead: Callable[..., Any] = defect.instead or _stand_still
    setattr(defect.owner, defect.name, instead)
    try:
        yield
    finally:
        setattr(defect.owner, defect.name, before)
