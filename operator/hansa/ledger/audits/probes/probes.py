"""Probes of all nodes, moved on one pass at a time; each can be cut off anywhere and is done again.

In the book a probe is ``probe/KEY/NUMBER`` of a node's key: when it is due, what was asked with the nonce that the rows
are drawn with, and what came of it. With that anybody can judge it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from pydantic import TypeAdapter, ValidationError

from hansa.api.kinds import AIJOB
from hansa.api.meta import GpuInventory
from hansa.errors import Conflict, HansaError, NotFound
from hansa.ledger.audits import book as b
from hansa.ledger.audits.book import AuditBook, Word
from hansa.ledger.audits.facts import Ended, Facts
from hansa.ledger.audits.nodes import LeagueNode
from hansa.ledger.audits.orders import cannot_run, is_over, is_same_work, waits_for
from hansa.ledger.audits.probes.order import name_of, order
from hansa.ledger.settings import Probes as Settings
from hansa.model.times import from_rfc3339, rfc3339
from hansa.ports import Cluster, Manifest
from hansa.verification.course.probing import (
    Answer,
    Closed,
    Outcome,
    Probe,
    Send,
    Sent,
    Times,
    Wait,
    due_s,
    next_probing,
)
from hansa.verification.levels import Evidence, Shown
from hansa.verification.probe.verifier import Challenge

log = logging.getLogger(__name__)
SECRET_BYTES = 32
NONE_SENT = "this league sends none: ledger.settings.probes is not set"
NOT_THERE = "the league has no node with its key any more"
_INVENTORY = TypeAdapter(tuple[GpuInventory, ...])


class Probes:
    """Sends probes and judges them, where settings say with what."""

    def __init__(
        self,
        cluster: Cluster,
        book: AuditBook,
        facts: Facts,
        settings: Settings,
        draw: Callable[[int], bytes],
    ) -> None:
        """``draw``: returns so many random bytes; nobody may guess them."""
        self._cluster, self._book, self._facts = cluster, book, facts
        self._settings, self._draw = settings, draw
        self._closed: defaultdict[str, dict[int, b.Body]] = defaultdict(dict)
        """Node's key → number of a probe → what came of it. They are never changed, so each is read once."""
        self._new = b.Following(book, b.PROBED)
        self._times = Times(
            every_s=settings.every_seconds,
            retry_s=settings.retry_seconds,
            within_s=settings.within_seconds,
            patience_s=settings.patience_seconds,
        )

    async def step(self, nodes: Iterable[LeagueNode], now_s: int) -> None:
        """Move each node's probe on; one that cannot be moved on holds up no other."""
        if not self._settings.namespace:
            return
        subjects = await asyncio.to_thread(self._book.open, b.PLANNED, b.PROBED)
        plans = {_key(subject): subject for subject in subjects}
        there = {node.key: node for node in nodes}
        for key in plans.keys() - there.keys():
            try:
                await self._give_up(plans[key], now_s)
            except HansaError as error:
                log.warning("probe not given up", extra={"probe": plans[key], "error": str(error)})
        for node in there.values():
            subject = plans.get(node.key)
            try:
                if subject is None:
                    await asyncio.to_thread(self._plan, node, now_s)
                else:
                    await self._move_on(node, subject, now_s)
            except HansaError as error:
                log.warning("probe not moved on", extra={"node": node.name, "error": str(error)})

    def shown(self, now_s: int) -> dict[str, list[Shown]]:
        """Return node's key → what its probes have shown."""
        self._catch_up(now_s)
        return {
            key: [
                Shown(Evidence.PROBE, said["atS"], passed=said["outcome"] == Outcome.PASSED)
                for said in closed.values()
                if said["outcome"] != Outcome.LOST
            ]
            for key, closed in self._closed.items()
        }

    def last_words(self, node_key: str) -> str:
        """Return what became of a node's last probe, for a person; empty: there was none, or it passed."""
        if not self._settings.namespace:
            return NONE_SENT
        _, said = self._last(node_key)
        if said is None or said["outcome"] == Outcome.PASSED:
            return ""
        return f"that of {rfc3339(said['atS'])}: {said['outcome']}, {said['why']}"

    def outcomes(self, now_s: int) -> dict[str, int]:
        """Return outcome → how many there are."""
        self._catch_up(now_s)
        every = (said for closed in self._closed.values() for said in closed.values())
        return Counter(str(said["outcome"]) for said in every)

    def _catch_up(self, now_s: int) -> None:
        for word in self._new.new(now_s * 1000):
            self._closed[_key(word.subject)][b.number(word.subject)] = word.body

    def _last(self, node_key: str) -> tuple[int, b.Body | None]:
        """Return number and end of a node's last probe that is over; (0, None): none is."""
        closed = self._closed.get(node_key) or {}
        number = max(closed, default=0)
        return number, closed.get(number)

    def _plan(self, node: LeagueNode, now_s: int) -> None:
        """Draw when the node's next probe is sent, and keep it to ourselves."""
        self._catch_up(now_s)
        number, before = self._last(node.key)
        outcome = Outcome(before["outcome"]) if before else None
        chance = int.from_bytes(self._draw(6)) / (1 << 48)
        body = {"node": node.name, "dueS": due_s(now_s, outcome, self._times, chance)}
        self._book.add([Word(b.probe(node.key, number + 1), b.PLANNED, body)], now_s * 1000)

    async def _move_on(self, node: LeagueNode, subject: str, now_s: int) -> None:
        said = await asyncio.to_thread(self._book.of, subject)
        probe, job = Probe(said[b.PLANNED]["dueS"]), None
        if b.SENT in said:
            job = await self._job(said[b.SENT], now_s)
            probe = await asyncio.to_thread(self._seen, node, said, job, now_s)
        step = await asyncio.to_thread(next_probing, probe, now_s, self._times)
        match step:
            case Send():
                await self._send(node, subject, now_s)
            case Closed():
                await self._close(node.name, subject, (step, probe, job), now_s)
            case Wait():
                pass

    async def _send(self, node: LeagueNode, subject: str, now_s: int) -> None:
        """Ask: noted first, then made; what is made already stays."""
        seed, nonce = self._draw(SECRET_BYTES), self._draw(SECRET_BYTES)
        challenge = Challenge(seed, nonce, self._settings.size, min(128, self._settings.size))
        made = order(
            challenge,
            node.name,
            name_of(subject),
            self._settings,
            gpu_class=self._gpu_class(node),
        )
        body = {
            "atS": now_s,
            "seed": seed.hex(),
            "nonce": nonce.hex(),
            "n": challenge.n,
            "rows": challenge.rows,
            "job": made,
        }
        await asyncio.to_thread(self._book.add, [Word(subject, b.SENT, body)], now_s * 1000)
        # Another ledger may have noted another challenge first: a node is judged by what stands in the book.
        said = await asyncio.to_thread(self._book.of, subject)
        await self._make(said[b.SENT]["job"])

    def _gpu_class(self, node: LeagueNode) -> str:
        """Draw one of the classes that the node says it has; empty: it says that it has none."""
        try:
            inventory = _INVENTORY.validate_python(node.status.get("inventory") or ())
        except ValidationError:
            return ""
        classes = [one.gpu_class for one in inventory if one.total]
        return classes[int.from_bytes(self._draw(6)) % len(classes)] if classes else ""

    async def _make(self, job: Manifest) -> Manifest:
        path = AIJOB.path(job["metadata"]["namespace"])
        try:
            return await self._cluster.create(path, job)
        except Conflict:
            return await self._cluster.get(_path(job))

    async def _job(self, sent: b.Body, now_s: int) -> Manifest | None:
        """Return a probe's job as it is now; None: it is gone and its time is up, too."""
        try:
            return await self._cluster.get(_path(sent["job"]))
        except NotFound:
            # Noted before it was made, and a crash came between; or somebody has deleted it.
            if now_s - sent["atS"] > self._times.patience_s:
                return None
            return await self._make(sent["job"])

    def _seen(
        self, node: LeagueNode, said: Mapping[str, b.Body], job: Manifest | None, now_s: int
    ) -> Probe:
        sent = said[b.SENT]
        challenge = Challenge(
            bytes.fromhex(sent["seed"]), bytes.fromhex(sent["nonce"]), sent["n"], sent["rows"]
        )
        asked = Sent(sent["atS"], node.key, challenge)
        if job is None:
            return Probe(said[b.PLANNED]["dueS"], asked)
        ended = self._facts.last_of(job["metadata"]["uid"])
        return Probe(
            due_s=said[b.PLANNED]["dueS"],
            sent=asked,
            answer=self._answer(sent, job, ended, now_s) if ended else None,
            obstacle=cannot_run(job, node.name),
            waits_for=waits_for(job, node.name),
        )

    def _answer(self, sent: b.Body, job: Manifest, ended: Ended, now_s: int) -> Answer:
        run, status = ended.receipt, job.get("status") or {}
        kept = self._book.of(b.run(run.run))
        spec = kept[b.SPEC]["spec"] if b.SPEC in kept else None
        # A run that was tried again knew the seed before: the time counts from when it was sent.
        granted_s = from_rfc3339(status.get("grantedAt")) if run.work.epoch == 1 else None
        return Answer(
            node_key=run.work.node_key,
            is_same_work=None if spec is None else is_same_work(spec, sent["job"]["spec"]),
            digest=run.result_digest,
            result=status.get("result") or kept.get(b.RESULT, {}).get("text"),
            took_ms=int((now_s - max(granted_s or 0, sent["atS"])) * 1000),
        )

    async def _give_up(self, subject: str, now_s: int) -> None:
        """Close a probe of a node that has left, or has another key now: nobody will answer it."""
        said = await asyncio.to_thread(self._book.of, subject)
        planned, job = said[b.PLANNED], None
        if b.SENT in said:
            with suppress(NotFound):
                job = await self._cluster.get(_path(said[b.SENT]["job"]))
        what = Closed(Outcome.LOST, NOT_THERE), Probe(planned["dueS"]), job
        await self._close(planned["node"], subject, what, now_s)

    async def _close(
        self,
        node: str,
        subject: str,
        what: tuple[Closed, Probe, Manifest | None],
        now_s: int,
    ) -> None:
        """Delete a job that nobody answered, then note the end; between the two a pass may be cut off."""
        closed, probe, job = what
        # What somebody else called like a probe is not the ledger's to delete.
        is_ours = job is not None and "audit" in job["spec"]
        if job is not None and is_ours and probe.answer is None and not is_over(job):
            await self._cluster.delete(_path(job), uid=job["metadata"]["uid"])
        body = {
            "node": node,
            "outcome": closed.outcome.value,
            "why": closed.why,
            "backend": closed.backend,
            "tookMs": probe.answer.took_ms if probe.answer else None,
            "result": probe.answer.result if probe.answer else None,
            "atS": now_s,
        }
        told = {name: body[name] for name in ("node", "outcome", "why", "backend")}
        is_wrong = closed.outcome is Outcome.FAILED
        log.log(logging.WARNING if is_wrong else logging.INFO, "probe closed", extra=told)
        await asyncio.to_thread(self._book.add, [Word(subject, b.PROBED, body)], now_s * 1000)


def _key(subject: str) -> str:
    return subject.split("/")[1]


def _path(job: Manifest) -> str:
    return AIJOB.path(job["metadata"]["namespace"], job["metadata"]["name"])
