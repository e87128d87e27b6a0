"""Why each job that was not placed waits, in one word and one sentence, and until when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from hansa.model.plan import Waiting
from hansa.model.reasons import Reason
from hansa.placement.explain.standing import GRAVE, NOT_OURS, Standing, site_codes
from hansa.placement.explain.waitlist import UNKNOWN, Start, Waitlist
from hansa.placement.kernel.tables import HUGE, WHY_CAP, WHY_QUOTA, WHY_RESERVED, Kinds, State
from hansa.placement.rules.eligibility import JobClass
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.expected_ends import NEVER, Releases, Started
from hansa.placement.state.league import League
from hansa.placement.state.records import Record

ESTIMATE_WORK = 50_000
"""Expected ends looked at for start estimates in one plan; small leagues are covered whole."""
MOST_CELLS = 128
WHY_ALL = 16
"""Above all bits WHY_* together."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Jobs that the kernel left, in order of rank."""

    rows: Ints
    why: Ints
    """Bits WHY_* of the job's kind."""

    @classmethod
    def after(cls, state: State, ranked: Ints) -> Blocked:
        """What is left after a run."""
        left = state.jobs.done == 0
        return cls(ranked[left], reasons(state.kinds)[state.jobs.kind[left]])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        yield from zip(self.rows.tolist(), self.why.tolist(), strict=True)


def reasons(kinds: Kinds) -> Ints:
    """Per kind, all bits WHY_* after a run."""
    return np.asarray(kinds.why | kinds.seen[kinds.mask])


def explained(
    league: League, blocked: Blocked, gaining: Mapping[str, str], started: Started | None
) -> Waitlist:
    """One record a waiting job: those that cannot be planned first, then by rank."""
    unplanned = [
        Waiting(record.job.uid, record.fault.reason, record.fault.message)
        for record in league.records.values()
        if record.fault is not None and not record.held
    ]
    uids = [*map(league.columns.uids.__getitem__, blocked.rows.tolist())]
    said, words = _words(league, blocked)
    for place in [place for place, uid in enumerate(uids) if uid in gaining] if gaining else ():
        said[place] = len(words)
        words.append((Reason.WAITING_FOR_PREEMPTION, gaining[uids[place]]))
    return Waitlist(
        tuple(sorted(unplanned, key=attrgetter("job_uid"))),
        uids,
        said,
        words,
        _ahead(league, blocked.rows),
        Estimator(league, started).starts(blocked.rows),
    )


def _words(league: League, blocked: Blocked) -> tuple[list[int], list[tuple[Reason, str]]]:
    """What is said of each job, as places in a list of what there is to say."""
    sites, kinds = league.open_sites.of_all(league.supply.cell_open), league.kinds
    numbers = league.columns.kind[blocked.rows]
    mask, most = kinds.mask[numbers], len(league.fleet.sites) + 1
    # Words about quota are of the institution: by kind. Where no site is open, they are of the mask.
    # The rest names at most the pool and how many sites.
    is_own = (blocked.why & WHY_QUOTA) != 0
    alike = len(sites) + kinds.column("cap_base")[numbers] * most + sites[mask]
    group = np.where(is_own, -1 - numbers, np.where(sites[mask] > 0, alike, mask))
    keys = group * WHY_ALL + blocked.why
    _, samples, said = np.unique(keys, return_index=True, return_inverse=True)
    pairs = zip(numbers[samples].tolist(), blocked.why[samples].tolist(), strict=True)
    standing = Standing(league.fleet)
    return said.tolist(), [reason(league, number, why, standing) for number, why in pairs]


def _ahead(league: League, rows: Ints) -> list[int]:
    """Jobs ahead of each in its pool's order."""
    pool = league.ledger.pool[league.columns.leaf[rows]]
    order = np.argsort(pool, kind="stable")
    ahead = np.empty(len(rows), np.int64)
    ahead[order] = np.arange(len(rows)) - np.searchsorted(pool[order], pool[order])
    return ahead.tolist()


def told(
    league: League, record: Record, why: int, gaining: Mapping[str, str], standing: Standing
) -> Waiting:
    """The record of one job, without position and estimate. ``standing``: of the league's fleet."""
    uid = record.job.uid
    said = reason(league, record.kind, why, standing)
    if uid in gaining:
        said = Reason.WAITING_FOR_PREEMPTION, gaining[uid]
    return Waiting(uid, *said)


def reason(league: League, number: int, why: int, standing: Standing) -> tuple[Reason, str]:
    """The binding constraint of a job that was not placed, by its kind."""
    said = refusal(league, number, standing)
    if said is not None:
        return said
    kind = league.kinds.kinds[number]
    if why & WHY_QUOTA:
        return Reason.WAITING_FOR_QUOTA, _quota_words(league, kind)
    if why & WHY_CAP:
        return (
            Reason.WAITING_FOR_CAP,
            f"a concentration cap of pool {kind.pool} is reached where there is room",
        )
    if why & WHY_RESERVED:
        return Reason.WAITING_FOR_FAIR_SHARE, "the room that is there is held for work ahead of it"
    sites = league.open_sites.of(number, league.supply.cell_open)
    return Reason.WAITING_FOR_CAPACITY, f"all {sites} nodes that may take it are full"


def _quota_words(league: League, kind: JobClass) -> str:
    account = league.ledger.leaf[kind.pool, kind.institution]
    used, most = int(league.ledger.accounts.gpus[account]), int(league.ledger.ceiling[account])
    limit = f"may hold at most {most}" if most < HUGE else "is limited by what others lend"
    return f"{kind.institution} holds {used} GPUs and needs {kind.gpus} more; it {limit}"


def refusal(league: League, number: int, standing: Standing) -> tuple[Reason, str] | None:
    """Why no node may take a kind at present; None when some may."""
    if league.open_sites.of(number, league.supply.cell_open):
        return None
    kind = league.kinds.kinds[number]
    counts = refusals(league, number, standing)
    if not counts:
        return Reason.WAITING_FOR_CAPACITY, f"pool {kind.pool} has no node with what it needs"
    nearest = max(counts, key=lambda reason: reason.gravity)
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items(), key=_gravity))
    return nearest, f"no node may take it: {told}"


def _gravity(item: tuple[Reason, int]) -> int:
    return item[0].gravity


def refusals(league: League, number: int, standing: Standing) -> Mapping[Reason, int]:
    """Sites of the kind's pool by what refuses them; PENDING counts those that may take it."""
    counts = np.bincount(standing.gravity(site_codes(league, number)))[:NOT_OURS]
    return {GRAVE[rank]: int(counts[rank]) for rank in np.flatnonzero(counts).tolist()}


class Estimator:
    """Start times at even odds and at nine in ten, each job behind those told before it."""

    def __init__(self, league: League, started: Started | None) -> None:
        self._league = league
        self._left = ESTIMATE_WORK
        self._odds = (Releases(league, 0.5, started), Releases(league, 0.9, started))
        self._cells: dict[int, list[int]] = {}
        """Mask → open cells, best first."""

    def starts(self, rows: Ints) -> dict[int, Start]:
        """Place in ``rows`` → seconds since the epoch at both odds, until the work is used up."""
        found: dict[int, Start] = {}
        for place in np.flatnonzero(self._league.columns.gpus[rows] > 0).tolist():
            if self._left <= 0:
                break
            found[place] = self._start(int(rows[place]))
        return found

    def _start(self, row: int) -> Start:
        columns = self._league.columns
        number = int(columns.kind[row])
        usable = self._usable(number)
        if not usable:
            return UNKNOWN
        kind = self._league.kinds.kinds[number]
        runtimes = int(columns.runtime[row]), int(columns.runtime_p90[row])
        even, sure = (
            self._one(odds, usable, kind, s) for odds, s in zip(self._odds, runtimes, strict=True)
        )
        return even, (None if even is None or sure is None else max(even, sure))

    def _usable(self, number: int) -> list[int]:
        mask = self._league.kinds.mask_of(number)
        if mask not in self._cells:
            cells = self._league.tariff.candidates(number)[:MOST_CELLS]
            self._cells[mask] = cells[self._league.supply.cell_open[cells] == 1].tolist()
        return self._cells[mask]

    def _one(
        self, releases: Releases, cells: list[int], kind: JobClass, runtime_s: int
    ) -> int | None:
        profiles = [releases.profile(cell) for cell in cells]
        self._left -= sum(10 + len(profile.times) for profile in profiles)
        starts = [profile.earliest(kind.gpus) for profile in profiles]
        best = starts.index(min(starts))
        if starts[best] >= NEVER:
            return None
        profile = profiles[best]
        profile.add(starts[best], -kind.gpus)
        profile.add(starts[best] + runtime_s, kind.gpus)
        return self._league.now_s + starts[best]
