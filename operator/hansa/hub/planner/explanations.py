"""Why each other node was not chosen, told once for all jobs that are alike."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hansa.model.plan import Placement, Verdict, Waiting
from hansa.placement.explain import node_verdicts
from hansa.placement.explain.standing import Standing
from hansa.placement.explain.verdicts import Rulings, rulings
from hansa.placement.state.league import League
from hansa.placement.state.records import Record
from hansa.reconcile.hub.status.verdict_rows import MAX_VERDICTS

MAX_SITES_EXPLAINED = 64
"""With more sites, verdicts are told for waiting jobs only: they would cost more than the plan."""


MOST_KEPT = 512
"""Answers kept until the next plan; of a queue of all sorts the rest is found again when asked for."""


MOST_ANSWERS = 2048


class Explanations:
    """Verdicts on the planner's league as it is; jobs of a burst are mostly alike.

    Only the gravest, which a status has room for, are put into words.
    """

    def __init__(self) -> None:
        """Know no league."""
        self._league: League | None = None
        self._told: dict[object, tuple[Verdict, ...]] = {}
        self._answers: dict[tuple[Verdict, ...], tuple[Verdict, ...]] = {}
        self._standing: Standing | None = None

    def follow(self, league: League | None) -> None:
        """Explain by what this league has booked from now on: call it after every plan."""
        self._league, self._told = league, {}

    def of(self, uid: str, decision: Placement | Waiting) -> tuple[Verdict, ...]:
        """Return a verdict for each site but the chosen one: those that a status has room for."""
        league = self._league
        record = league.records.get(uid) if league is not None else None
        if league is None or record is None:
            return ()
        if isinstance(decision, Waiting):
            return self._of_waiting(league, record, decision)
        return self._of_placed(league, record, decision.site)

    def _of_waiting(self, league: League, record: Record, said: Waiting) -> tuple[Verdict, ...]:
        def find() -> tuple[Verdict, ...]:
            there = partial(node_verdicts.seats, league, record)
            return node_verdicts.waiting(self._rulings(league, record), there, said, MAX_VERDICTS)

        return self._once((*_alike(league, record), said.reason, said.message), find)

    def _of_placed(self, league: League, record: Record, site: str) -> tuple[Verdict, ...]:
        held = next((held for held in record.held if held.holding.site == site), None)
        if held is None or len(league.fleet.sites) > MAX_SITES_EXPLAINED:
            return ()

        def find() -> tuple[Verdict, ...]:
            there = partial(node_verdicts.seats, league, record)
            ruled = self._rulings(league, record)
            return node_verdicts.placed(league, ruled, there, held, MAX_VERDICTS)

        return self._once((*_alike(league, record), held.cell, held.holding.workers), find)

    def _rulings(self, league: League, record: Record) -> Rulings:
        """Return the rulings by what is known of the fleet, which outlives most plans."""
        if self._standing is None or self._standing.fleet is not league.fleet:
            self._standing = Standing(league.fleet)
        return rulings(league, record, self._standing)

    def _once(self, key: object, find: Callable[[], tuple[Verdict, ...]]) -> tuple[Verdict, ...]:
        """Return what was found under a key since the last plan; the oldest answer makes room."""
        if key not in self._told:
            if len(self._told) >= MOST_KEPT:
                del self._told[next(iter(self._told))]
            self._told[key] = self._shared(find())
        return self._told[key]

    def _shared(self, answer: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
        """Return equal answers as one value, in later plans too: a queue of all sorts gets few."""
        if len(self._answers) >= MOST_ANSWERS:
            self._answers.clear()
        return self._answers.setdefault(answer, answer)


def _alike(league: League, record: Record) -> tuple[object, ...]:
    return (record.kind, _refusals(record), node_verdicts.lasts_s(league, record.job))


def _refusals(record: Record) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(record.job.refused_by.items()))
