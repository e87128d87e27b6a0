"""The course of each audit: who was asked and what came of it, from the evidence and the hub's own objects."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hansa.api.aijob import AIJobSpec
from hansa.api.kinds import AIJOB
from hansa.errors import Conflict, HansaError, NotFound
from hansa.ledger.audits import book as b
from hansa.ledger.audits.book import AuditBook, Word
from hansa.ledger.audits.facts import Ended, Facts
from hansa.ledger.audits.nodes import AuditRules
from hansa.ledger.audits.orders import cannot_run, is_law, is_over, is_same_work, name_of, order
from hansa.model.times import rfc3339
from hansa.ports import Cluster, Manifest
from hansa.verification.comparison import Comparator, HardwareClass, Outcome
from hansa.verification.course import progress, segmented
from hansa.verification.course.claims import UNHEARD, Kind
from hansa.verification.course.progress import Ask, Audit, Auditor, Close, Reply, Span, Step, Wait
from hansa.verification.segments import Claimed, Grid, Stretch, answered, draw, read_states

log = logging.getLogger(__name__)
NOT_OURS = "a job that is no audit has its name"
NOT_SAME = "it ran something else than the audited job"
NO_ANSWER = "it gave nothing that can be compared"
LONGEST_BY_DEFAULT_S = AIJobSpec.model_fields["max_runtime_seconds"].default
NO_STRETCH = "it could not begin at the committed state, or did not say where it came to"


@dataclass(frozen=True, slots=True)
class Case:
    """An audit as the book has it."""

    subject: str
    said: Mapping[str, b.Body]
    spec: b.Body
    """Job and spec of the audited run."""
    drawn_s: int
    """When it was drawn, in seconds since the Unix epoch."""

    @property
    def receipt(self) -> str:
        """Digest of the audited run's last receipt."""
        return self.subject.removeprefix("audit/")

    @property
    def due(self) -> b.Body:
        """What was drawn."""
        return self.said[b.DUE]

    @property
    def span(self) -> Span:
        """How long it may take; an older ledger drew it without saying so."""
        return span_of(self.spec["spec"], self.due.get("withinS", AuditRules().within_s))

    @property
    def until_s(self) -> int:
        """When it is given up, in seconds since the Unix epoch."""
        return self.drawn_s + self.span.most_s

    @property
    def asked(self) -> int:
        """How many were asked."""
        return sum(name.startswith(b.ASKED) for name in self.said)


class Course:
    """Moves audits on, one at a time."""

    def __init__(
        self,
        cluster: Cluster,
        book: AuditBook,
        facts: Facts,
        *,
        patience_s: int,
    ) -> None:
        """``patience_s``: how long an auditor has, beyond the job's own time limit."""
        self._cluster, self._book, self._facts = cluster, book, facts
        self._patience_s = patience_s

    def case(self, subject: str) -> Case:
        """Return an audit that was drawn."""
        said = self._book.of(subject)
        spec = self._book.of(b.run(said[b.DUE]["run"]))
        drawn_ms = self._book.recorded_ms(subject)[b.DUE]
        return Case(subject, said, spec[b.SPEC], drawn_ms // 1000)

    async def step(self, subject: str, now_s: float, *, gives_up: bool) -> Step:
        """Take in what the auditor asked last has done; return what comes next.

        ``gives_up``: whether one whose time is over ends; not by a clock that has just jumped.
        """
        case = self.case(subject)
        number, is_over = case.asked, gives_up and now_s >= case.until_s
        if number and f"{b.REPLIED}{number}" not in case.said:
            asked = case.said[f"{b.ASKED}{number}"]
            by_s = asked["atS"] + case.span.limit_s(self._patience_s)
            by_s = min(by_s, case.until_s) if gives_up else by_s
            reply = await self._reply(case, asked, now_s, by_s)
            if reply is None and not is_over:
                return Wait()
            reply = reply or _none("what became of its job cannot be read")
            word = Word(case.subject, f"{b.REPLIED}{number}", reply)
            self._book.add([word], int(now_s * 1000))
            case = self.case(subject)
        audit = await self._audit(case)
        drawn = _drawn(case, audit.claimed)
        step = progress.next_step(audit) if drawn is None else segmented.next_step(audit, drawn)
        if isinstance(step, Ask) and is_over:
            step = progress.given_up(audit, rfc3339(case.until_s))
        if isinstance(step, Close) and case.due.get("unheard"):
            return progress.unconfirmed(step, UNHEARD)
        return step

    async def ask(self, subject: str, what: Ask, now_s: float) -> None:
        """Have an auditor run it: noted first, then made; what is made already stays."""
        case = self.case(subject)
        number = case.asked + 1
        body: dict[str, Any] = {
            "node": what.auditor.node,
            "institution": what.auditor.institution,
            "ownerGroup": what.auditor.owner_group,
            "name": name_of(case.receipt, number),
            "atS": int(now_s),
        }
        if what.stretch is not None:
            body["stretch"] = asdict(what.stretch)
        self._book.add([Word(case.subject, f"{b.ASKED}{number}", body)], int(now_s * 1000))
        await self._make(case, body)

    async def _make(self, case: Case, asked: b.Body) -> Manifest:
        made = order(
            case.spec["spec"],
            of=case.spec["job"],
            epoch=int(case.due["run"].rpartition(".")[2]),
            node=asked["node"],
            name=asked["name"],
            stretch=_stretch(asked),
        )
        path = AIJOB.path(made["metadata"]["namespace"])
        try:
            return await self._cluster.create(path, made)
        except Conflict:
            return await self._cluster.get(AIJOB.path(made["metadata"]["namespace"], asked["name"]))

    async def _reply(self, case: Case, asked: b.Body, now_s: float, by_s: float) -> b.Body | None:
        """Return what an auditor's run came to; None: it is still to come. ``by_s``: when it is late."""
        namespace = case.spec["job"].partition("/")[0]
        path = AIJOB.path(namespace, asked["name"])
        is_late = now_s >= by_s
        try:
            made = await self._cluster.get(path)
        except NotFound:
            if is_late:
                return _none("its job is gone")
            # Noted before it was made, and a crash came between; or somebody has deleted it.
            try:
                made = await self._make(case, asked)
            except NotFound:
                return _none("the namespace of the audited job is gone")
        except HansaError as error:
            log.info("audit not read", extra={"audit": asked["name"], "error": str(error)})
            return None
        ended = self._facts.last_of(made["metadata"]["uid"])
        # Owners may call a job so: that is no audit, and not the ledger's to delete.
        is_ours, has_ended = "audit" in made["spec"], is_over(made)
        if is_ours and ended is not None and (has_ended or is_late):
            return self._ran(case, asked, ended, made)
        why = "" if is_ours else NOT_OURS
        why = (
            why
            or cannot_run(made, asked["node"])
            or (f"not in {by_s - asked['atS']:.0f} s" if is_late else "")
        )
        if not why:
            return None
        if is_ours and not has_ended:
            await self._cluster.delete(path, uid=made["metadata"]["uid"])
        return _none(why)

    def _ran(self, case: Case, asked: b.Body, ended: Ended, job: Manifest) -> b.Body:
        run = ended.receipt
        kept = self._book.of(b.run(run.run))
        spec = kept.get(b.SPEC, {}).get("spec", {})
        if run.work.node != asked["node"] or not is_same_work(spec, case.spec["spec"]):
            return _none(NOT_SAME)
        wanted = Kind(case.due.get("claim", Kind.RESULT))
        if ended.claim.kind not in {wanted, Kind.RESULT}:
            # A program that fails may have found no state to begin with; what a member lost says nothing of that.
            has_run = ended.claim.kind is Kind.FAILURE
            return {**_none(ended.claim.why or NO_ANSWER), "ran": has_run}
        text = (job.get("status") or {}).get("result") or kept.get(b.RESULT, {}).get("text")
        return {"run": run.run, "result": text, "why": ""}

    async def _audit(self, case: Case) -> Audit:
        replies = [
            self._replied(case.said[f"{b.ASKED}{number}"], case.said.get(f"{b.REPLIED}{number}"))
            for number in range(1, case.asked + 1)
        ]
        comparator, result = _comparator(case.spec["spec"]), None
        if comparator is not None:
            result = await self._claimed_result(case)
        claimed = self._outcome(case.due["run"], result)
        if comparator is not None and result is None:
            # Nobody has its text any more, which is not the provider's doing: it is compared by digest,
            # and a difference accuses nobody, as its hardware is not known.
            comparator = None
        return Audit(
            provider=Auditor(
                case.due["node"], case.due["institution"], case.due.get("ownerGroup", "")
            ),
            claimed=claimed,
            ranking=[Auditor(*one) for one in case.due["ranking"]],
            replies=replies,
            comparator=comparator,
            lost=case.due["why"] if case.due.get("claim") == Kind.LOST else "",
        )

    def _replied(self, asked: b.Body, said: b.Body | None) -> Reply:
        auditor = Auditor(asked["node"], asked["institution"], asked.get("ownerGroup", ""))
        if said is None:
            return Reply(auditor, is_open=True)
        stretch = _stretch(asked)
        if not said.get("run"):
            return Reply(
                auditor,
                why=said["why"],
                is_unlawful=is_law(said["why"]),
                stretch=stretch,
                has_run=said.get("ran", False),
            )
        outcome = self._outcome(said["run"], said.get("result"))
        if stretch is None:
            return Reply(auditor, outcome=outcome, has_run=True)
        states = answered(stretch, outcome.told) if outcome.told is not None else None
        why = "" if states else NO_STRETCH
        return Reply(auditor, why=why, stretch=stretch, states=states, has_run=True)

    def _outcome(self, run: str, result: str | None) -> Outcome:
        ended = self._facts.end_of(run)
        if ended is None:
            raise AssertionError(f"{run} has ended, and its last receipt is not there")
        return ended.claim.outcome(_hardware(ended), None if result is None else result.encode())

    async def _claimed_result(self, case: Case) -> str | None:
        """Return the result that the provider told, as its grant had it or its job has it."""
        uid, _, epoch = case.due["run"].rpartition(".")
        kept = self._book.of(b.run(case.due["run"])).get(b.RESULT)
        if kept is not None:
            return str(kept["text"])
        namespace, _, name = case.spec["job"].partition("/")
        try:
            job = await self._cluster.get(AIJOB.path(namespace, name))
        except NotFound:
            return None
        status = job.get("status") or {}
        is_this = (job["metadata"]["uid"], status.get("epoch")) == (uid, int(epoch))
        return status.get("result") if is_this else None


def span_of(spec: Mapping[str, Any], within_s: int) -> Span:
    """Return how long the audit of a job may take. ``within_s``: by its pool.

    The spec was read when it was kept, maybe by an older ledger: what this one would not take holds up no draw.
    """
    return Span(within_s, int(spec.get("maxRuntimeSeconds", LONGEST_BY_DEFAULT_S)))


def _none(why: str) -> b.Body:
    return {"run": "", "why": why}


def _comparator(spec: Mapping[str, Any]) -> Comparator | None:
    said = spec.get("comparator")
    if said is None:
        return None
    return Comparator(float(said.get("absolute", "0")), float(said.get("relative", "0")))


def _drawn(case: Case, claimed: Outcome) -> Claimed | None:
    """Return the segment of a run that is audited; None: it commits none that could be, so all of it is."""
    grid = (case.spec["spec"].get("comparator") or {}).get("checkpoints")
    if not grid or claimed.told is None or "ticket" not in case.due:
        return None
    try:
        committed = read_states(claimed.told)
    except ValueError:
        return None
    return draw(Grid(grid["steps"], grid["every"]), committed, int(case.due["ticket"], 16))


def _stretch(asked: b.Body) -> Stretch | None:
    said = asked.get("stretch")
    return None if said is None else Stretch(**said)


def _hardware(ended: Ended) -> HardwareClass:
    """Return a run's class. Which CPUs and which driver a node has nobody says, so no two runs are known to be of one."""
    work = ended.receipt.work
    return HardwareClass(
        image_digest=work.image_digest,
        accelerator=work.gpu_class or "",
        driver_major=None,
        dtype="",
        layout=f"{work.gpus} GPUs, {work.cpu_millis} thousandths of a CPU",
    )
