"""Why each other node was not chosen, told once for all jobs that are alike."""

from __future__ import annotations

from collections.abc import Mapping

from hansa.model.plan import Placement, Verdict, Waiting
from hansa.placement.explain import node_verdicts
from hansa.placement.explain.node_verdicts import Seat
from hansa.placement.explain.verdicts import rulings
from hansa.placement.state.league import League
from hansa.placement.state.records import Record
from hansa.reconcile.hub.status.job_status import ranked

MAX_SITES_EXPLAINED = 64
"""With more sites, verdicts are told for waiting jobs only: they would cost more than the plan."""


class Explanations:
    """Verdicts on the planner's league as it is; jobs of a burst are mostly alike."""

    def __init__(self) -> None:
        """Know no league."""
        self._league: League | None = None
        self._laid_out = -1
        self._rulings: dict[object, list[Verdict]] = {}
        self._seats: dict[object, Mapping[str, Seat]] = {}
        self._told: dict[object, tuple[Verdict, ...]] = {}

    def follow(self, league: League | None) -> None:
        """Explain by what this league has booked from now on: call it after every plan."""
        before, self._league, self._seats, self._told = self._league, league, {}, {}
        laid_out = -1 if league is None else league.laid_out
        if league is not before or laid_out != self._laid_out:
            self._laid_out, self._rulings = laid_out, {}

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
        key = (*_alike(league, record), said.reason, said.message)
        if key not in self._told:
            rows = self._ruled(league, record)
            told = node_verdicts.waiting(record, rows, self._seated(league, record), said)
            self._told[key] = ranked(told)
        return self._told[key]

    def _of_placed(self, league: League, record: Record, site: str) -> tuple[Verdict, ...]:
        held = next((held for held in record.held if held.holding.site == site), None)
        if held is None or len(league.fleet.sites) > MAX_SITES_EXPLAINED:
            return ()
        key = (*_alike(league, record), held.cell, held.holding.workers)
        if key not in self._told:
            rows = self._ruled(league, record)
            told = node_verdicts.placed(league, rows, self._seated(league, record), held)
            self._told[key] = ranked(told)
        return self._told[key]

    def _ruled(self, league: League, record: Record) -> list[Verdict]:
        key = (record.kind, _refusals(record))
        if key not in self._rulings:
            self._rulings[key] = rulings(league, record)
        return self._rulings[key]

    def _seated(self, league: League, record: Record) -> Mapping[str, Seat]:
        key = (record.kind, node_verdicts.lasts_s(league, record.job))
        if key not in self._seats:
            self._seats[key] = node_verdicts.seats(league, record)
        return self._seats[key]


def _alike(league: League, record: Record) -> tuple[object, ...]:
    return (record.kind, _refusals(record), node_verdicts.lasts_s(league, record.job))


def _refusals(record: Record) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(record.job.refused_by.items()))
