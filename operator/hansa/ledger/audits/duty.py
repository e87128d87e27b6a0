"""Verification as a duty of the ledger: one pass, numbered; each can be cut off anywhere and is done again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from hansa.api.kinds import COMPUTEPOOL, SOVEREIGNNODE, WORKGRANT
from hansa.api.workgrant import WorkGrantSpec
from hansa.errors import HansaError
from hansa.ledger.audits import book as b
from hansa.ledger.audits.book import AuditBook, Word
from hansa.ledger.audits.course import Course
from hansa.ledger.audits.epochs import Epochs, League
from hansa.ledger.audits.levels import Levels
from hansa.ledger.audits.nodes import league_nodes, samplings
from hansa.ledger.audits.probes.probes import Probes
from hansa.ledger.audits.telling import Telling, finding
from hansa.ledger.audits.verdicts import Verdicts
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.logbook import Logbook
from hansa.ports import Clock, Cluster, Manifest
from hansa.verification.course.progress import Ask, Close
from hansa.verification.levels import Standing

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
    telling: Telling


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


class Audits:
    """Verification over one league. No other pass may use the log meanwhile."""

    def __init__(
        self, cluster: Cluster, parts: Parts, logbook: Logbook, evidence: Evidence, clock: Clock
    ) -> None:
        """``logbook``: the one writer of the log."""
        self._cluster, self._clock = cluster, clock
        self._parts, self._logbook, self._evidence = parts, logbook, evidence
        self._seen: frozenset[tuple[str, str]] = frozenset()
        """What the grants told in the last pass."""
        self.figures = Figures()

    async def step(self) -> None:
        """1. See grants. 2. Move probes, epochs and audits on. 3. Follow verdicts. 4. Tell nodes."""
        parts, now_s = self._parts, int(self._clock.now())
        things = (await self._cluster.list(SOVEREIGNNODE.path())).items
        pools = (await self._cluster.list(COMPUTEPOOL.path())).items
        grants = (await self._cluster.list(WORKGRANT.path())).items
        nodes = {node.name: node for node in league_nodes(things)}
        await asyncio.to_thread(self._see, grants, now_s * 1000)
        await parts.probes.step(nodes.values(), now_s)
        standings = await asyncio.to_thread(parts.levels.standings, nodes, now_s)
        levels = {name: one.level for name, one in standings.items()}
        league = League(nodes, levels, samplings(pools))
        await asyncio.to_thread(self._move_epochs, league, now_s * 1000)
        await self._tell_drawn(standings, now_s)
        for subject in await asyncio.to_thread(parts.book.open, b.DUE, b.VERDICT):
            await self._move_on(subject, now_s)
        standings = await asyncio.to_thread(parts.levels.standings, nodes, now_s)
        for subject in await asyncio.to_thread(parts.book.open, b.VERDICT, b.DONE):
            await self._follow(subject, standings, now_s)
        epoch = await asyncio.to_thread(parts.epochs.now_open, now_s * 1000)
        closed = await asyncio.to_thread(parts.epochs.last_closed, now_s * 1000)
        await parts.telling.nodes(nodes.values(), standings, (epoch, closed), now_s)
        self.figures = await asyncio.to_thread(self._count, now_s)

    def _see(self, grants: Iterable[Manifest], now_ms: int) -> None:
        """Keep what runs have to do and what they told: grants go when their runs are released."""
        words = {(word.subject, word.phase): word for thing in grants for word in _words(thing)}
        self._parts.book.add([words[key] for key in words.keys() - self._seen], now_ms)
        self._seen = frozenset(words)

    def _move_epochs(self, league: League, now_ms: int) -> None:
        epochs = self._parts.epochs
        epochs.note(league.nodes.values(), now_ms)
        # What is recorded by now is in the checkpoint that closes the epoch.
        self._logbook.catch_up(self._evidence)
        head = self._logbook.head()
        epochs.close(head.size, head.root, now_ms)
        epochs.draw(league, now_ms)

    async def _tell_drawn(self, standings: Mapping[str, Standing], now_s: int) -> None:
        """Tell the jobs of drawn epochs whether their runs are audited."""
        book = self._parts.book
        for subject in await asyncio.to_thread(book.open, b.DRAWN, b.DONE):
            drawn = (await asyncio.to_thread(book.of, subject))[b.DRAWN]
            for run, digest in drawn["runs"].items():
                due = (await asyncio.to_thread(book.of, b.audit(digest))).get(b.DUE)
                told = ("NotDrawn", NOT_DRAWN) if due is None else ("Due", due["why"])
                await self._tell(run, told, standings, now_s)
            for run, why in drawn["unfit"].items():
                await self._tell(run, ("Inconclusive", why), standings, now_s)
            await asyncio.to_thread(book.add, [Word(subject, b.DONE, {})], now_s * 1000)

    async def _move_on(self, subject: str, now_s: int) -> None:
        parts = self._parts
        try:
            step = await parts.course.step(subject, now_s)
            if isinstance(step, Ask):
                await parts.course.ask(subject, step, now_s)
            if isinstance(step, Close):
                case = await asyncio.to_thread(parts.course.case, subject)
                await asyncio.to_thread(parts.verdicts.write, case, step, now_s)
        except HansaError as error:
            log.warning("audit not moved on", extra={"audit": subject, "error": str(error)})

    async def _follow(self, subject: str, standings: Mapping[str, Standing], now_s: int) -> None:
        parts = self._parts
        said = (await asyncio.to_thread(parts.book.of, subject))[b.VERDICT]
        told = {name: said[name] for name in ("run", "node", "verdict", "why")}
        log.log(logging.WARNING if said["doubtful"] else logging.INFO, "audit closed", extra=told)
        await asyncio.to_thread(parts.verdicts.follow, said, now_s * 1000)
        doubt = f"{said['node']} was found to have cheated in run {said['run']}: {said['why']}"
        words = [Word(b.run(run), b.DOUBTFUL, {"why": doubt}) for run in said["doubtful"]]
        await asyncio.to_thread(parts.book.add, words, now_s * 1000)
        for run in said["doubtful"]:
            await self._tell(run, ("Doubtful", doubt), standings, now_s)
        await self._tell(said["run"], (said["verdict"], said["why"]), standings, now_s)
        await asyncio.to_thread(parts.book.add, [Word(subject, b.DONE, {})], now_s * 1000)

    async def _tell(
        self, run: str, told: tuple[str, str], standings: Mapping[str, Standing], now_s: int
    ) -> None:
        """Tell the owner of a run's job. ``told``: what became of the audit, and why."""
        known = await asyncio.to_thread(self._parts.book.of, b.run(run))
        kept, doubt = known.get(b.SPEC), known.get(b.DOUBTFUL)
        if doubt is not None and told[0] in {"NotDrawn", "Inconclusive"}:
            told = "Doubtful", doubt["why"]
        if kept is not None:
            said = finding(run, standings.get(kept["node"]), told, now_s)
            await self._parts.telling.job(kept["job"], run, said)

    def _count(self, now_s: int) -> Figures:
        levels = self._parts.levels
        return Figures(
            due=len(self._parts.book.open(b.DUE, b.VERDICT)),
            overdue=levels.overdue(now_s),
            verdicts=levels.verdicts(),
            probes=self._parts.probes.outcomes(),
        )


def _words(thing: Manifest) -> Iterator[Word]:
    """Yield what a grant tells of its run; one that cannot be read tells nothing."""
    try:
        spec = WorkGrantSpec.model_validate(thing.get("spec") or {})
    except ValidationError:
        return
    name = b.run(f"{spec.job.uid}.{spec.epoch}")
    job = f"{spec.job.namespace}/{spec.job.name}"
    yield Word(name, b.SPEC, {"job": job, "node": spec.node, "spec": thing["spec"]["jobSpec"]})
    result = (thing.get("status") or {}).get("result")
    if isinstance(result, str):
        yield Word(name, b.RESULT, {"text": result})
