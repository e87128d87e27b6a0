"""What may not go on where it runs: drained nodes, suspended jobs, and law that changed."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from hansa.model.plan import Stop
from hansa.model.reasons import Reason
from hansa.placement.rules.eligibility import CODE, OUTSIDE, RULES, Codes
from hansa.placement.state.league import League
from hansa.placement.state.records import Held, Record

LAW = frozenset({CODE[Reason.RESIDENCY_DENIED], CODE[Reason.LEGAL_CONTROL_DENIED]})


def unlawful(league: League) -> tuple[Stop, ...]:
    """Stops that need no trade-off, in the order of job UIDs."""
    return unlawful_at(league, league.by_cell)


def unlawful_at(league: League, cells: Iterable[int]) -> tuple[Stop, ...]:
    """The same for what runs in a few cells."""
    judged: dict[int, Codes] = {}
    found = []
    for cell in cells:
        for record, held in league.by_cell.get(cell, ()):
            stop = None if held.holding.stopping else _objection(league, record, held, judged)
            if stop is not None:
                found.append(Stop(record.job.uid, held.holding.site, *stop))
    return tuple(sorted(found, key=attrgetter("job_uid", "site")))


def _objection(
    league: League, record: Record, held: Held, judged: dict[int, Codes]
) -> tuple[Reason, str] | None:
    if record.job.barred is Reason.SUSPENDED:
        return Reason.SUSPENDED, record.job.barred_message or "the job is suspended"
    site = league.fleet.sites[league.fleet.cells[held.cell].site]
    if site.draining:
        return Reason.NODE_CORDONED, f"{site.name} is being drained"
    if league.kinds.may_go(held.kind, held.cell):
        return None
    if held.kind not in judged:
        judged[held.kind] = league.rules.site_codes(league.kinds.kinds[held.kind])
    at = league.fleet.cells[held.cell].site
    code = judged[held.kind][at]
    if code == OUTSIDE:  # of the pool no more; the law holds all the same
        code = league.rules.law_codes(league.kinds.kinds[held.kind])[at]
    if code in LAW:
        return RULES[code], f"its residency rules no longer allow {site.name}"
    return None
