"""What may not go on where it runs: drained nodes, suspended jobs, and law that changed."""

from __future__ import annotations

from collections.abc import Iterable

from hansa.model.plan import Stop
from hansa.model.reasons import Reason
from hansa.placement.demand import RULES
from hansa.placement.league import Held, League, Record

LAW = frozenset({Reason.RESIDENCY_DENIED, Reason.LEGAL_CONTROL_DENIED})


def unlawful(league: League) -> tuple[Stop, ...]:
    """Stops that need no trade-off, in the order of job UIDs."""
    judged: dict[tuple[int, int], Reason] = {}
    found = []
    for uid in sorted(uid for uid, record in league.records.items() if record.held):
        record = league.records[uid]
        for held in record.held:
            if not held.holding.stopping:
                stop = _objection(league, record, held, judged)
                found += [] if stop is None else [Stop(uid, held.holding.site, *stop)]
    return tuple(found)


def unlawful_at(league: League, cells: Iterable[int]) -> tuple[Stop, ...]:
    """The same for what runs in a few cells."""
    judged: dict[tuple[int, int], Reason] = {}
    found = []
    for cell in cells:
        for record, held in league.by_cell.get(cell, ()):
            stop = None if held.holding.stopping else _objection(league, record, held, judged)
            if stop is not None:
                found.append(Stop(record.job.uid, held.holding.site, *stop))
    return tuple(sorted(found, key=lambda stop: stop.job_uid))


def _objection(
    league: League, record: Record, held: Held, judged: dict[tuple[int, int], Reason]
) -> tuple[Reason, str] | None:
    if record.job.barred is Reason.SUSPENDED:
        return Reason.SUSPENDED, record.job.barred_message or "the job is suspended"
    site = league.fleet.sites[league.fleet.cells[held.cell].site]
    if site.draining:
        return Reason.NODE_CORDONED, f"{site.name} is being drained"
    key = (held.kind, held.cell)
    if key not in judged:
        code = int(
            league.rules.site_codes(league.kinds.kinds[held.kind])[
                league.fleet.cells[held.cell].site
            ]
        )
        judged[key] = RULES[code] if code < len(RULES) else Reason.PENDING
    if judged[key] in LAW:
        return judged[key], f"its residency rules no longer allow {site.name}"
    return None


def charge(league: League, stop: Stop) -> None:
    """Charge a preemption to the budget of who gains by it."""
    gaining = league.records.get(stop.in_favour_of)
    if gaining is not None and not stop.workers:
        league.preempted.append((league.now_s, gaining.job.pool, gaining.job.institution))
