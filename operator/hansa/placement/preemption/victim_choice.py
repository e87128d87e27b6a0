"""Which victims have to yield in a cell so that a job fits there, by the rule of its pool.

Nobody who is not needed, and nobody who may not have to: see ``victims``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hansa.placement.preemption.trial import Trial
from hansa.placement.preemption.victims import Victim
from hansa.placement.state.records import Record

MOST_VICTIMS = 64
MOST_MACHINES = 16
"""Machines of a cell that are cleared in turn, to see whether a worker then fits."""
SHARED_GPUS = 2
"""A worker of fewer GPUs fits on any machine that has as many free."""

_Turns = tuple[tuple[bool, list[Victim]], ...]
"""Whether institutions must keep their nominal share, and victims in order."""


def choose_victims(trial: Trial, record: Record, cell: int, *, most: int) -> list[Victim]:
    """The fewest that have to yield at a cell for a job to fit; empty when it cannot.

    First those whose institution keeps its nominal share without them, then any of one that
    holds more; where the cheapest together are not enough, the largest or the smallest first,
    then machine by machine, for a gang also machines in turn. ``most``: how many may be stopped.
    """
    yielding = [v for v in trial.yielding(cell) if v.record.job.pool == record.job.pool]
    by_size = sorted(yielding, key=_large)
    attempts: list[_Turns] = [
        ((True, yielding), (False, yielding)),
        ((False, by_size),),
        ((False, by_size[::-1]),),
        *_machine_by_machine(trial, record, yielding),
        *_machines_in_turn(trial, record, yielding),
    ]
    tried = (_try(trial, record, cell, turns, most) for turns in attempts)
    return next(filter(None, tried), [])


def _machine_by_machine(trial: Trial, record: Record, yielding: list[Victim]) -> list[_Turns]:
    """Those on one machine first, for every machine where a worker would then fit.

    The cheapest first, and where these use up what their institutions hold too much, the largest.
    """
    shape, free = record.job.shape, trial.supply.machine_gpus
    if shape.gpus < SHARED_GPUS:
        return []
    found = _by_machine(yielding)
    able = [at for at, on in found.items() if free[at] + _gpus(on) >= shape.gpus]
    rest = yielding if shape.workers > 1 else []
    orders = [found[at] for at in able[:MOST_MACHINES]]
    orders += [sorted(on, key=_large) for on in orders]
    return [((False, on), (False, rest)) for on in orders]


def _machines_in_turn(trial: Trial, record: Record, yielding: list[Victim]) -> list[_Turns]:
    """For a gang: those machines first where the fewest GPUs are missing, and on each no more than that.

    Who is stopped elsewhere uses up what an institution holds too much, and brings the gang nothing.
    """
    shape, free = record.job.shape, trial.supply.machine_gpus
    if shape.gpus < SHARED_GPUS or shape.workers == 1:
        return []
    found = _by_machine(yielding)
    able = [at for at, on in found.items() if shape.gpus - _gpus(on) <= free[at] < shape.gpus]
    able.sort(key=lambda at: -int(free[at]))
    cheapest = [found[at] for at in able]
    largest = [sorted(on, key=_large) for on in cheapest]
    missing = [shape.gpus - int(free[at]) for at in able]
    return [
        ((False, [v for one in zip(orders, able, missing, strict=True) for v in _enough(*one)]),)
        for orders in (cheapest, largest)
    ]


def _large(victim: Victim) -> int:
    return -victim.gpus


def _enough(on: Iterable[Victim], machine: int, missing: int) -> Iterator[Victim]:
    """The first of those on a machine that free so many GPUs of it together."""
    for victim in on:
        if missing <= 0:
            return
        log = victim.held.log
        workers = sum(log[at + 1] for at in range(0, len(log), 2) if log[at] == machine)
        missing -= workers * victim.record.job.shape.gpus
        yield victim


def _try(trial: Trial, record: Record, cell: int, turns: _Turns, left: int) -> list[Victim]:
    """Release victims in order until the job fits, then take back who was not needed."""
    found: dict[tuple[str, str], Victim] = {}
    fits, may_reclaim, mark = False, trial.claims.reclaims(record), trial.mark()
    for keeps_nominal, order in turns:
        for victim in order:
            if fits or len(found) == MOST_VICTIMS:
                break
            if victim.key in found or (victim.workers_left == 0 and left <= 0):
                continue
            if trial.claims.may_take_from(record, victim, keeps_nominal=keeps_nominal):
                left -= victim.workers_left == 0
                found[victim.key] = victim
                trial.release(victim)
                fits = trial.could_take(record, cell, reclaims=may_reclaim)
    kept: list[Victim] = []
    for index, victim in enumerate(reversed(found.values()), 1):
        trial.retake(victim)
        others = len(kept) + len(found) - index
        is_enough = trial.could_take(record, cell, reclaims=may_reclaim and others > 0)
        if fits and not (is_enough and trial.claims.have_to(record, kept)):
            kept.append(victim)
            trial.release(victim)
    trial.rollback(mark)
    return kept[::-1]


def _by_machine(yielding: Iterable[Victim]) -> dict[int, list[Victim]]:
    """Victims that hold GPUs of a machine, machine by machine."""
    found: dict[int, list[Victim]] = {}
    for victim in yielding:
        log = victim.held.log
        for machine in dict.fromkeys(log[at] for at in range(0, len(log), 2) if log[at + 1]):
            found.setdefault(machine, []).append(victim)
    return found


def _gpus(those: Iterable[Victim]) -> int:
    return sum(victim.gpus for victim in those)
