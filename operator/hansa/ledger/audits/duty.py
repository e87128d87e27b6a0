"""Verification as a duty of the ledger: one pass, numbered; each can be cut off anywhere and is done again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hansa.api.kinds import COMPUTEPOOL
from hansa.errors import HansaError
from hansa.ledger.audits import book as b
from hansa.ledger.audits.book import AuditBook, Word
from hansa.ledger.audits.course import Course
from hansa.ledger.audits.epochs import Epochs
from hansa.ledger.audits.hub_statuses import HubStatuses, finding
from hansa.ledger.audits.levels import Levels
from hansa.ledger.audits.nodes import League, LeagueNode, audit_rules, league_nodes
from hansa.ledger.audits.probes.probes import Probes
from hansa.ledger.audits.verdicts import Verdicts
from hansa.ledger.even_clock import EvenClock
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.grant_notes import GrantNote
from hansa.ledger.receipts.source import NodeReceipts
from hansa.ports import Clock, Cluster
from hansa.verification.course.progress import Ask, Close
from hansa.verification.levels import Standing
from hansa.verification.verdict import Verdict

log = logging.getLogger(__name__)
NOT_DRAWN = "its audit epoch is over, and it was not drawn"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pass is made of."""

    book: AuditBook
    epochs: Epochs
    course: Course
    verdicts: Verdicts
    levels: Levels
    probes: Probes
    statuses: HubStatuses
    even: EvenClock
    """By which audits are given up."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a scrape shows."""

    due: int = 0
    """Audits that are drawn and not decided."""
    overdue: int = 0
    """Audits that have been due for too long."""
    verdicts: Mapping[str, int] | None = None
    """Verdict → how many there are."""
    probes: Mapping[str, int] = field(default_factory=dict)
    """What became of capacity probes → how many there are."""


class Told(NamedTuple):
    """What a job's owner is told of one run."""

    run: str
    audit: str
    """What became of its audit."""
    why: str


class Audits:
    """Verification over one league. No other pass may use the log meanwhile."""

    def __init__(
        self, cluster: Cluster, parts: Parts, source: NodeReceipts, evidence: Evidence, clock: Clock
    ) -> None:
        """``source``: follows the hub, and is the one writer of the log."""
        self._cluster, self._clock = cluster, clock
        self._parts, self._source, self._evidence = parts, source, evidence
        self.figures = Figures()

    async def step(self) -> None:
        """1. See grants. 2. Move probes, epochs and audits on. 3. Follow verdicts. 4. Tell nodes."""
        parts, now_s, hub = self._parts, int(self._clock.now()), self._source.hub
        if not hub.synced:
            return
        # There are few pools. That they can be listed shows that the hub is there: no epoch goes by without it.
        pools = (await self._cluster.list(COMPUTEPOOL.path())).items
        # In this order: of what is not there any more is known how it went.
        granted = hub.granted()
        await self._source.remember()
        nodes = {node.name: node for node in league_nodes(list(hub.nodes()))}
        async for notes in hub.notes():
            words = [word for note in notes.values() for word in _words(note)]
            await asyncio.to_thread(parts.book.add, words, now_s * 1000)
            hub.noted(notes)
        await parts.probes.step(nodes.values(), now_s)
        standings = await asyncio.to_thread(parts.levels.standings, nodes, now_s)
        levels = {name: one.level for name, one in standings.items()}
        league = League(nodes, levels, audit_rules(pools), granted)
        await asyncio.to_thread(self._move_epochs, league, now_s * 1000)
        await self._tell_drawn(standings, now_s)
        gives_up = not parts.even.has_jumped("no audit is given up")
        for subject in await asyncio.to_thread(parts.book.open, b.DUE, b.VERDICT):
            await self._move_on(subject, now_s, gives_up=gives_up)
        standings = await asyncio.to_thread(parts.levels.standings, nodes, now_s)
        await self._follow(nodes, standings, now_s)
        epoch = await asyncio.to_thread(parts.epochs.now_open, now_s * 1000)
        closed = await asyncio.to_thread(parts.epochs.last_closed, now_s * 1000)
        await parts.statuses.nodes(nodes.values(), standings, (epoch, closed), now_s)
        self.figures = await asyncio.to_thread(self._count, now_s)

    def _move_epochs(self, league: League, now_ms: int) -> None:
        epochs, logbook = self._parts.epochs, self._source.logbook
        if logbook is None:
            raise AssertionError("audits are opened where there is a log")
        epochs.note(league.nodes.values(), now_ms)
        # What is recorded by now is in the checkpoint that closes the epoch.
        logbook.catch_up(self._evidence)
        head = logbook.head()
        epochs.close(head.size, head.root, now_ms)
        epochs.draw(league, now_ms)

    async def _tell_drawn(self, standings: Mapping[str, Standing], now_s: int) -> None:
        """Tell the jobs of drawn epochs whether their runs are audited."""
        book = self._parts.book
        for _, word in await asyncio.to_thread(book.open_words, b.DRAWN, b.DONE):
            await self._tell(await asyncio.to_thread(self._drawn, word.body), standings, now_s)
            await asyncio.to_thread(book.add, [Word(word.subject, b.DONE, {})], now_s * 1000)

    def _drawn(self, drawn: b.Body) -> list[Told]:
        """Return what the runs of a drawn epoch are told."""
        audits = self._parts.book.of_all(map(b.audit, drawn["runs"].values()))
        due = {run: audits[b.audit(digest)].get(b.DUE) for run, digest in drawn["runs"].items()}
        return [
            *(
                Told(run, *(("NotDrawn", NOT_DRAWN) if one is None else ("Due", one["why"])))
                for run, one in due.items()
            ),
            *(Told(run, "Inconclusive", why) for run, why in drawn["unfit"].items()),
        ]

    async def _move_on(self, subject: str, now_s: int, *, gives_up: bool) -> None:
        parts = self._parts
        try:
            step = await parts.course.step(subject, now_s, gives_up=gives_up)
            if isinstance(step, Ask):
                await parts.course.ask(subject, step, now_s)
            if isinstance(step, Close):
                case = await asyncio.to_thread(parts.course.case, subject)
                await asyncio.to_thread(parts.verdicts.write, case, step, now_s)
        except HansaError as error:
            log.warning("audit not moved on", extra={"audit": subject, "error": str(error)})

    async def _follow(
        self, nodes: Mapping[str, LeagueNode], standings: Mapping[str, Standing], now_s: int
    ) -> None:
        """Do what verdicts say: money, where it has not moved yet, the doubt about other runs, then whoever is to be told."""
        book = self._parts.book
        for _, word in await asyncio.to_thread(book.open_words, b.VERDICT, b.DONE):
            said = word.body
            await asyncio.to_thread(self._parts.verdicts.follow, word, now_s * 1000)
            extra = {name: said[name] for name in ("run", "node", "verdict", "why")}
            log.log(
                logging.WARNING if said["doubtful"] else logging.INFO, "audit closed", extra=extra
            )
            doubt = f"{said['node']} was found to have cheated in run {said['run']}: {said['why']}"
            words = [Word(b.run(run), b.DOUBTFUL, {"why": doubt}) for run in said["doubtful"]]
            await asyncio.to_thread(book.add, words, now_s * 1000)
            doubted = await asyncio.to_thread(self._doubted, said["doubtful"], doubt)
            await self._tell(
                [*doubted, Told(said["run"], said["verdict"], said["why"])], standings, now_s
            )
            if said["node"] in nodes:
                node, verdict = nodes[said["node"]], Verdict(said["verdict"])
                self._parts.statuses.audited(node, said["run"], verdict, said["why"])
            done = [Word(word.subject, b.DONE, {})]
            await asyncio.to_thread(book.add, done, now_s * 1000)

    def _doubted(self, runs: Sequence[str], doubt: str) -> list[Told]:
        """Return the runs to tell at once; one that is audited itself hears with its own verdict."""
        alone = self._parts.verdicts.is_judged_alone
        return [Told(run, "Doubtful", doubt) for run in runs if not alone(run)]

    async def _tell(
        self, all_told: Sequence[Told], standings: Mapping[str, Standing], now_s: int
    ) -> None:
        """Tell the owners of runs' jobs; the book is read once for all of them."""
        known = await asyncio.to_thread(
            self._parts.book.of_all, [b.run(told.run) for told in all_told]
        )
        jobs = {told.run.rpartition(".")[0] for told in all_told}
        doubtful = await asyncio.to_thread(self._parts.verdicts.doubtful, jobs)
        for told in all_told:
            phases = known[b.run(told.run)]
            kept, doubt = phases.get(b.SPEC), phases.get(b.DOUBTFUL)
            audit, why = told.audit, told.why
            if doubt is not None and audit in {"NotDrawn", "Inconclusive"}:
                audit, why = "Doubtful", doubt["why"]
            if kept is not None:
                runs = doubtful.get(told.run.rpartition(".")[0], ())
                said = finding(told.run, standings.get(kept["node"]), (audit, why), now_s, runs)
                await self._parts.statuses.job(kept["job"], told.run, said)

    def _count(self, now_s: int) -> Figures:
        levels = self._parts.levels
        return Figures(
            due=len(self._parts.book.open(b.DUE, b.VERDICT)),
            overdue=levels.overdue(now_s),
            verdicts=levels.verdicts(now_s),
            probes=self._parts.probes.outcomes(now_s),
        )


def _words(note: GrantNote) -> Iterator[Word]:
    """Yield what a grant tells of its run."""
    name = b.run(note.run)
    yield Word(name, b.SPEC, {"job": note.job, "node": note.node, "spec": note.spec})
    if note.result is not None:
        yield Word(name, b.RESULT, {"text": note.result})
