"""The planner between full plans: events in, only what they change out.

It books its own decisions: a placement it returned is held from then on, a stop it returned is
stopping until ``JobGone`` (or ``JobArrived`` with the new holdings) says otherwise. Whoever loses a
decision tells it so by ``JobArrived`` with the job as it really is. An event looks only at the room
it freed and at the jobs that can use it; nothing that runs is ever moved for a better plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from hansa.model.events import Event
from hansa.model.history import Group, RunTimes
from hansa.model.plan import Placement, Plan, Waiting
from hansa.model.snapshot import Job, ShadowPrices, Snapshot
from hansa.placement.backfill import event_plan
from hansa.placement.backfill.calibration import Calibration
from hansa.placement.explain import waiting
from hansa.placement.explain.standing import Standing
from hansa.placement.explain.waitlist import about, retell
from hansa.placement.planner import replan
from hansa.placement.preemption import unlawful
from hansa.placement.pricing import shadow_prices
from hansa.placement.pricing.market import Market, market_of
from hansa.placement.rules.fleet import is_open
from hansa.placement.state import event_intake
from hansa.placement.state.decision import Decision
from hansa.placement.state.event_intake import News, Reach
from hansa.placement.state.league import League
from hansa.placement.state.records import Record


@dataclass(frozen=True, slots=True)
class _Concerns:
    """What news that was taken in may have made possible."""

    uids: tuple[str, ...] = ()
    """Jobs that are new, or not what they were."""
    cells: Sequence[int] = ()
    """Where room has come free."""
    is_everything: bool = False
    """Whether the rules or the layout of the league have changed."""


class IncrementalPlanner:
    """Keeps the compiled league between events."""

    def __init__(self, snapshot: Snapshot, *, is_compiled: bool = True) -> None:
        self._base = replace(snapshot, jobs=())
        self.is_compiled = is_compiled
        """Whether it waits for the compiled kernel where that is not loaded yet."""
        self._league = League(snapshot)
        self.is_stale = True
        """Whether anything but the time has changed since the last full plan."""
        self._promises = Calibration()
        self.market: Market | None = None
        """What the last plan that was to be repriced began with; None where it found its own prices."""

    def snapshot(self) -> Snapshot:
        """The league as the planner sees it now, own decisions booked."""
        jobs = tuple(record.job for record in self._league.records.values())
        return replace(self._base, now_s=self._league.now_s, prices=self._league.prices, jobs=jobs)

    @property
    def league(self) -> League:
        """What it has compiled and booked, to be read."""
        return self._league

    def learn(self, history: Mapping[Group, RunTimes]) -> None:
        """Expect other run times from now on; jobs that wait already keep theirs."""
        self._base = replace(self._base, history=history)
        self._league.learn(history)

    def keep(self, promises: Calibration) -> None:
        """Go on with what the planner before this one has promised and learned."""
        promises.resume(record.job for record in self._league.records.values())
        self._promises = promises

    def reprice(self, found: ShadowPrices) -> None:
        """Plan by prices found elsewhere, maybe for a league of before: names it lacks do nothing."""
        self._league.prices = found

    def replan(
        self, now_s: int, events: Iterable[Event] = (), *, is_repriced: bool = False
    ) -> Plan:
        """Take in what happened, then plan everything that waits; books and returns it.

        ``is_repriced``: find new shadow prices where that costs next to nothing.
        """
        self._league.advance(now_s)
        self._take_in(News.of(events))
        if is_repriced:
            self.market = None if shadow_prices.is_small(self._league) else market_of(self._league)
            self._league.prices = shadow_prices.solve_if_small(self._league) or self._league.prices
        return self._plan_all()

    def plans_anew(self, events: Sequence[Event]) -> bool:
        """Tell whether ``update`` may plan everything anew: after news of places, or of a first guest."""
        news = News.of(events)
        is_guest = partial(event_intake.is_guest, self._league)
        return news.is_of_places or any(map(is_guest, news.arrived))

    def update(self, events: Iterable[Event], *, now_s: int) -> Plan:
        """Take in what happened; books and returns the placements and stops it makes possible.

        Many events are decided together. A job that holds what is booked for it costs next to
        nothing: nothing is planned for it. ``waiting`` names only jobs of the events; start estimates
        come with ``replan``. After news that touch all of the league everything is planned anew.
        """
        self._league.advance(now_s)
        news = News.of(events)
        concerns = self._take_in(news)
        if concerns.is_everything:
            return self._plan_all_for(concerns.uids)
        league = self._league
        ended = unlawful.unlawful_at(league, league.fleet.cells_at(news.sites))
        if ended:
            self._book(league.decision(Plan(stops=ended)))
        filled = self._fill(concerns.cells, len(news.sites) + len(concerns.cells))
        begun = self._begin([league.records[uid] for uid in concerns.uids])
        return Plan(filled + begun.placements, ended + begun.stops, begun.waiting)

    # What news does.

    def _take_in(self, news: News) -> _Concerns:
        """Book what jobs hold and let the others wait; what that concerns."""
        arrived = [event_intake.with_record(self._league, job) for job in news.arrived]
        new = [job for job in arrived if not event_intake.amend(self._league, job)]
        uids = tuple(job.uid for job in new)
        left = (*news.gone, *uids)
        self.is_stale |= bool(left) or news.is_of_places
        cells = [cell for uid in left for cell in self._forget(uid)]
        self._base = news.applied_to(self._base)
        event_intake.count_once(self._league, news.pools)
        reach = event_intake.take_in_places(self._league, news)
        if reach is Reach.LAYOUT or any(event_intake.is_guest(self._league, job) for job in new):
            self._compile(new)
            return _Concerns(uids, is_everything=True)
        for job in new:
            self._league.add(job)
        opened = self._league.fleet.cells_at(filter(is_open, news.sites))
        return _Concerns(uids, [*cells, *opened], is_everything=reach is Reach.ALL)

    def _forget(self, uid: str) -> list[int]:
        """Remove a job; the cells of the sites that it leaves."""
        fleet = self._league.fleet
        sites = {fleet.cells[cell].site for cell in self._league.remove(uid)}
        self._promises.gone(uid)
        return [cell for site in sorted(sites) for cell in fleet.cells_of_site[site]]

    def _compile(self, new: Iterable[Job]) -> None:
        """What changed touches too much: make the league anew."""
        before = self._league
        jobs = (*(record.job for record in before.records.values()), *new)
        snapshot = replace(self._base, now_s=before.now_s, jobs=jobs, prices=before.prices)
        self._league = League(snapshot, before.preempted)

    # What is decided.

    def _book(self, decision: Decision) -> tuple[Placement, ...]:
        """Make it true; what starts."""
        self._league.book(decision)
        for start in decision.starts:
            self._promises.started(start.placement.job_uid, self._league.now_s)
        return decision.plan.placements

    def _plan_all(self) -> Plan:
        """A full plan, booked, with what past errors say around each start estimate."""
        decision = replan(self._league, is_compiled=self.is_compiled)
        self._book(decision)
        self.is_stale = False
        told = partial(self._promises.told, now_s=self._league.now_s)
        return replace(decision.plan, waiting=retell(decision.plan.waiting, told))

    def _plan_all_for(self, uids: Sequence[str]) -> Plan:
        """A full plan as the answer to news of some jobs: of the others it tells nothing."""
        if uids:
            plan = self._plan_all()
            plan = replace(plan, waiting=tuple(about(plan.waiting, frozenset(uids))))
        else:
            decision = replan(self._league, is_compiled=self.is_compiled, is_told=False)
            self._book(decision)
            plan = decision.plan
        self.is_stale = True
        return plan

    def _fill(self, freed: Sequence[int], events: int) -> tuple[Placement, ...]:
        """Give room that was freed to those it was made for, then to others; what starts."""
        league, is_compiled = self._league, self.is_compiled
        cells = event_plan.open_cells(league, freed)
        if not len(cells):
            return ()
        is_held_up = event_plan.held_up(league)
        started: tuple[Placement, ...] = ()
        for cell in cells.tolist():
            if league.held.gains.get(cell):
                started += self._book(event_plan.for_gaining(league, cell, is_compiled=is_compiled))
        decision = event_plan.for_waiting(
            league, cells, is_held_up, events=events, is_compiled=is_compiled
        )
        return started + self._book(decision)

    def _begin(self, records: Sequence[Record]) -> Plan:
        """Start what has just come, where there is room; else make room for it; else say why not."""
        league, is_compiled = self._league, self.is_compiled
        if not records:
            return Plan()
        said = [
            Waiting(record.job.uid, record.fault.reason, record.fault.message)
            for record in records
            if record.fault is not None and not record.held
        ]
        started = self._book(event_plan.for_new(league, records, is_compiled=is_compiled))
        waits = [record for record in records if record.row >= 0]
        if not waits:
            return Plan(started, waiting=tuple(said))
        decision, made = event_plan.room_for_new(league, waits, is_compiled=is_compiled)
        self._book(decision)
        standing = Standing(league.fleet)
        said += [
            waiting.told(league, record, event_plan.why_of(league, record), made.gaining, standing)
            for record in waits
        ]
        return Plan(started, decision.plan.stops, tuple(said))
