"""``hansa ledger``: wiring, until a signal says stop.

Its duties: follow the hub's nodes and grants, take receipts in, have their log cosigned, move audits on,
and claims as their time comes, tell projects what they have spent, and read the figures for the scrape.
Each is tried again by itself; a database or hub that is away ends none of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from hansa.accounting.postings import Event
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import Connection
from hansa.adapters.kube.proxies import connect
from hansa.ledger.audits.duty import Audits, Figures
from hansa.ledger.audits.opening import open_audits
from hansa.ledger.even_clock import EvenClock
from hansa.ledger.handed_words import handed_words_of
from hansa.ledger.intake import Intake
from hansa.ledger.lookback import Lookback
from hansa.ledger.prices_and_budgets import PricesAndBudgets
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.receipts.opening import open_source
from hansa.ledger.settings import LedgerSettings
from hansa.ledger.source import ReceiptSource
from hansa.ledger.store.engine import migrate, open_engine
from hansa.ledger.store.reader import LedgerReader, Standing
from hansa.ledger.store.writer import MOST_ROWS, LedgerWriter
from hansa.observability import metrics as m
from hansa.observability.collectors import Sample, SampleCollector
from hansa.observability.http import probes
from hansa.observability.instruments import Instruments
from hansa.observability.logging import configure_logging
from hansa.observability.recorder import EventRecorder
from hansa.ports import Clock
from hansa.process.app import going_on, regularly, run_process, together, until_signalled
from hansa.process.environment import read_settings
from hansa.verification.course.probing import Outcome
from hansa.verification.verdict import Verdict

log = logging.getLogger(__name__)
HUNG_AFTER_S = 600.0
"""No intake has begun for so long: the process should be restarted."""
STALE_AFTER_S = 300.0
"""The books were not read for so long: the ledger is not ready."""
LOOK_S = 30.0
HAND_OUT_S = 60.0
DAY_MS = 86_400_000


def _no_audits(_engine: Engine, _source: ReceiptSource) -> Audits | None:
    return None


class Ledger:
    """One ledger process over its books."""

    def __init__(
        self,
        settings: LedgerSettings,
        hub: HubView,
        agreed: PricesAndBudgets,
        open_receipts: Callable[[Engine], ReceiptSource],
        clock: Clock,
        *,
        open_audits: Callable[[Engine, ReceiptSource], Audits | None] = _no_audits,
    ) -> None:
        """Nothing is opened before ``prepare``; what ``open_…`` make is over the same database."""
        self._terms = settings.terms
        self._interval_s = settings.intake.interval_seconds
        self._clock = clock
        self._even = EvenClock(clock, settings.intake.clock_skew_seconds)
        self._hub = hub
        self._agreed = agreed
        self._engine = open_engine(settings.database.url.get_secret_value())
        self._source = source = open_receipts(self._engine)
        self._writer = LedgerWriter(self._engine, holdback_bp=self._terms.holdback_percent * 100)
        self._reader = LedgerReader(self._engine)
        self._intake = Intake(source, self._writer, clock=clock, terms=agreed.terms)
        self._moved = {event: Lookback(clock) for event in (Event.POST, Event.RELEASE)}
        self._audits = open_audits(self._engine, source)
        self._audits_s = settings.audits.interval_seconds
        self._handed_words = handed_words_of(source, self._engine)
        self._at_log = asyncio.Lock()
        """Receipts and audits use the log one after the other."""
        self._standing: Standing | None = None
        self._read_s = clock.monotonic()

    async def prepare(self) -> None:
        """Bring the tables up to date; raises ``HansaError`` where database or log are not to be had."""
        await asyncio.to_thread(migrate, self._engine)
        await asyncio.to_thread(self._source.prepare)

    async def run(self) -> None:
        """Do all duties until cancelled."""
        duties = (
            (self.take_in, self._interval_s),
            (self.witness, self._interval_s),
            (self.hand_out, HAND_OUT_S),
            (self.audit, self._audits_s),
            (self.move_on, self._interval_s),
            (self.tell, LOOK_S),
            (self.look, LOOK_S),
        )
        regular = (regularly(going_on(duty), partial(float, s)) for duty, s in duties)
        await together(self._hub.follow(), *regular)

    async def take_in(self) -> None:
        """Take receipts in."""
        async with self._at_log:
            await self._intake.step()

    async def witness(self) -> None:
        """Have the log cosigned."""
        async with self._at_log:
            await self._source.witness()

    async def hand_out(self) -> None:
        """Hand members what they need against the league."""
        async with self._at_log:
            if self._handed_words is not None:
                await self._handed_words.step()

    async def audit(self) -> None:
        """Move audits on, where there are any."""
        if self._audits is not None:
            async with self._at_log:
                await self._audits.step()

    async def move_on(self) -> None:
        """Post what was pending long enough, and release what was kept back long enough.

        Neither is taken back. So a clock that jumps moves nothing until it has gone evenly for an hour, and where runs
        are audited nothing of one is due before it was drawn and its audit, if any, has a verdict.
        """
        if self._even.has_jumped("nothing is posted or released"):
            return
        now_ms = int(self._clock.now() * 1000)
        decided = self._audits is not None and self._terms.pending_seconds > 0
        waits = (
            (Event.POST, self._terms.pending_seconds * 1000),
            (Event.RELEASE, self._terms.holdback_days * DAY_MS),
        )
        for event, wait_ms in waits:
            before_ms, since_ms = now_ms - wait_ms, self._moved[event].since_ms()
            move_on = partial(
                self._writer.move_on,
                event,
                now_ms,
                before_ms=before_ms,
                since_ms=since_ms,
                decided=decided,
            )
            while len(await asyncio.to_thread(move_on)) == MOST_ROWS:
                pass
            self._moved[event].done(before_ms)

    async def tell(self) -> None:
        """Tell projects what they have spent."""
        spent = await asyncio.to_thread(self._reader.spent)
        await self._agreed.tell(spent, self._clock.now())

    async def look(self) -> None:
        """Read the figures that a scrape shows."""
        self._standing = await asyncio.to_thread(self._reader.standing)
        self._read_s = self._clock.monotonic()

    def healthy(self) -> str:
        """Return why the process should be restarted; a database that is away is no such reason."""
        age_s = self._clock.monotonic() - self._intake.began_s
        return f"no intake has begun for {age_s:.0f} s" if age_s > HUNG_AFTER_S else ""

    def ready(self) -> str:
        """Return why its figures are not to be trusted."""
        if self._standing is None:
            return "the books have not been read yet"
        age_s = self._clock.monotonic() - self._read_s
        if age_s > STALE_AFTER_S:
            return f"the books were not read for {age_s:.0f} s"
        if not self._hub.synced:
            return "the hub's nodes and grants have not been read yet"
        if self._hub.age_s > STALE_AFTER_S:
            return f"the hub has told nothing of nodes and grants for {self._hub.age_s:.0f} s"
        return ""

    def samples(self) -> Iterator[Sample]:
        """Yield what a scrape reads; figures of the books only once they were read."""
        yield Sample(m.LEDGER_BEHIND, self._source.behind)
        yield Sample(m.LEDGER_AGE, self._clock.monotonic() - self._read_s)
        for project, (spent, limit) in self._agreed.budgets.items():
            if limit:
                yield Sample(m.PROJECT_BUDGET, spent / limit, (project,))
        if self._audits is not None:
            yield from _audited(self._audits.figures)
        if self._standing is None:
            return
        yield Sample(m.LEDGER_RECEIPTS, self._standing.receipts)
        yield Sample(m.LEDGER_DIFFERENCES, self._standing.differences)
        for currency, micros in self._standing.holdback.items():
            yield Sample(m.LEDGER_HOLDBACK, micros / 1_000_000, (currency,))
        for currency, micros in self._standing.pending.items():
            yield Sample(m.LEDGER_PENDING, micros / 1_000_000, (currency,))

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()


def _audited(figures: Figures) -> Iterator[Sample]:
    if figures.verdicts is None:
        return
    yield Sample(m.AUDITS_DUE, figures.due)
    yield Sample(m.AUDITS_OVERDUE, figures.overdue)
    for verdict in Verdict:
        if verdict is not Verdict.OPEN:
            yield Sample(m.AUDITS, figures.verdicts.get(verdict.value, 0), (verdict.value,))
    for outcome in Outcome:
        yield Sample(m.PROBES, figures.probes.get(outcome.value, 0), (outcome.value,))


async def serve(settings: LedgerSettings, own: Connection) -> None:
    """Keep the books until cancelled."""
    clock, instruments = SystemClock(), Instruments("ledger")
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            KubeCluster(own, clock=clock, agent="hansa-ledger")
        )
        hub = HubView(cluster, clock, lambda: cluster.server_time_skew_s)
        instance = os.uname().nodename
        recorder = EventRecorder(cluster, clock, controller="hansa.dev/ledger", instance=instance)
        agreed = PricesAndBudgets(
            cluster,
            hub,
            currency=settings.terms.currency,
            skew_ms=settings.intake.clock_skew_seconds * 1000,
        )
        open_receipts = partial(open_source, settings, cluster, hub, clock=clock)

        def verification(engine: Engine, source: ReceiptSource) -> Audits | None:
            emit = recorder.emit
            return open_audits(settings, cluster, engine, source, clock, emit=emit)

        ledger = Ledger(settings, hub, agreed, open_receipts, clock, open_audits=verification)
        stack.callback(ledger.close)
        instruments.attach(SampleCollector(ledger.samples))
        await stack.enter_async_context(
            probes(
                page=instruments.scraped,
                healthy=ledger.healthy,
                ready=ledger.ready,
                port=settings.serving.health_port,
                host=settings.serving.bind,
            )
        )
        await ledger.prepare()
        await together(ledger.run(), recorder.run())


def main() -> None:
    """Run the ledger as a process."""
    settings = read_settings(LedgerSettings)
    configure_logging()
    kubeconfig = Path(settings.cluster.kubeconfig) if settings.cluster.kubeconfig else None
    own = connect(kubeconfig, os.environ, context=settings.cluster.context)
    run_process(lambda: until_signalled(lambda: serve(settings, own)))
