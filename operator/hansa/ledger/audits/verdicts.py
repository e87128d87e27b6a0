"""What follows from an audit that is closed: written once with its reasons, and done in the same transaction.

A verdict, the money that it moves and what it means for its run stand in the books together, or not at all.
"""

from __future__ import annotations

import base64
from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any

import rfc8785
from securesystemslib import dsse
from sqlalchemy import Connection

from hansa.accounting.postings import Event
from hansa.ledger.audits import book as b
from hansa.ledger.audits.book import AuditBook, Word
from hansa.ledger.audits.course import Case
from hansa.ledger.audits.facts import Facts
from hansa.ledger.audits.levels import KINDS
from hansa.ledger.store.writer import happen
from hansa.ports import Signer
from hansa.receipts.envelope import PAYLOAD_TYPE
from hansa.verification.consequences import Consequences, Unsettled, of_verdict
from hansa.verification.course.claims import Kind
from hansa.verification.course.progress import Close
from hansa.verification.levels import Evidence
from hansa.verification.svr import Descriptor, DigestSet, Verifier, statement
from hansa.verification.verdict import Verdict

VERIFIER = "https://hansa.dev/ledger"


class Verdicts:
    """Writes verdicts and sees to what they say."""

    def __init__(self, book: AuditBook, facts: Facts, signer: Signer) -> None:
        """``signer``: the hub's key, which signs the statement."""
        self._book, self._facts, self._signer = book, facts, signer

    def write(self, case: Case, close: Close, now_s: int) -> None:
        """Keep a verdict and move the money that it names, in one transaction: nothing is paid in between.

        What it condemns is given back while it was not due, and seized where it is held back.
        """
        with self._book.deciding() as within:
            word = Word(case.subject, b.VERDICT, self._found(case, close, now_s))
            self._book.add([word], now_s * 1000, within)
            self._move(within, word, now_s * 1000)

    def follow(self, word: Word, now_ms: int) -> None:
        """Do what a verdict says where that was not done with it, as in books of an older ledger."""
        if _judged(word) not in self._book.of(b.run(word.body["run"])):
            with self._book.deciding() as within:
                self._move(within, word, now_ms)

    def _move(self, within: Connection, word: Word, now_ms: int) -> None:
        body = word.body
        run, note = b.run(body["run"]), f"audit of {body['run']}: {body['why']}"[:500]
        words = [Word(run, _judged(word), {}), Word(run, b.DECIDED, {})]
        if body["verdict"] in {Verdict.FAILED, Verdict.LOST}:
            words.append(Word(run, b.CONDEMNED, {}))
        self._book.add(words, now_ms, within)
        # Other runs' receipts that are lost with it may be posted by now: each goes the way that it still can.
        both = [*body["void"], *body["seize"]]
        for event, subjects in (
            (Event.VOID, both),
            (Event.SEIZE, both),
            (Event.SEIZE_PLEDGE, body.get("pledges", ())),
        ):
            happen(within, event, subjects, now_ms, note=note)

    def _found(self, case: Case, close: Close, now_s: int) -> dict[str, Any]:
        """Return what the book keeps of a verdict."""
        due, follows = case.due, self._consequences(case, close, now_s)
        return {
            "run": due["run"],
            "node": due["node"],
            "nodeKey": due["nodeKey"],
            "claim": due.get("claim", Kind.RESULT),
            "verdict": close.decision.verdict.value,
            "independence": close.independence.value,
            "why": close.decision.why + due.get("lacks", ""),
            "outvoted": list(close.decision.outvoted),
            "atS": now_s,
            "statement": self._signed(case, close, now_s),
            "seize": [receipt for receipt, _ in follows.seize],
            "void": list(follows.void),
            "pledges": list(follows.pledges),
            "doubtful": list(follows.doubtful),
        }

    def _consequences(self, case: Case, close: Close, now_s: int) -> Consequences:
        # Whoever runs it: that work was lost shows nothing of a node, and may stand in its own receipt.
        is_lost = close.decision.verdict is Verdict.LOST
        kind = Evidence.AUDIT if is_lost else KINDS.get(close.independence)
        if kind is None:
            return Consequences()
        unsettled = self._facts.unsettled(case.due["node"])
        is_alone = close.decision.alone
        failures = set() if is_alone else self._book.failures(one.run for one in unsettled)
        unsettled = [replace(one, failed=one.run in failures) for one in unsettled]
        audited = next(
            (one for one in unsettled if one.receipt == case.receipt),
            Unsettled(case.receipt, case.due["run"], 0),
        )
        has_failed = case.due.get("claim") == Kind.FAILURE and not is_alone
        audited = replace(audited, failed=has_failed)
        pledges = self._facts.pledges(case.due["institution"])
        verdict = close.decision.verdict
        return of_verdict(verdict, audited, unsettled, now_s, kind, pledges=pledges)

    def is_judged_alone(self, run: str) -> bool:
        """Tell whether a run's own audit says more of it than what its node did elsewhere; it may be under way."""
        said = _audit_of(self._book, self._facts, run)
        found = said.get(b.VERDICT, {}).get("verdict")
        return b.DUE in said and found != Verdict.INCONCLUSIVE

    def doubtful(self, uids: Container[str]) -> dict[str, list[int]]:
        """Return of jobs which runs nobody should rely on: see ``doubtful_runs``."""
        return doubtful_runs(self._book, self._facts, uids)

    def _signed(self, case: Case, close: Close, now_s: int) -> Mapping[str, object]:
        """Return the verdict as an in-toto statement in a DSSE envelope."""
        subject = Descriptor(
            name=case.due["run"], digest=DigestSet(sha256=case.receipt.removeprefix("sha256:"))
        )
        verifier = Verifier(id=VERIFIER)
        verdict, independence = close.decision.verdict, close.independence
        said = rfc8785.dumps(statement(subject, verdict, verifier, now_s, independence).wire())  # type: ignore[arg-type]  # JSON values
        envelope = dsse.Envelope(said, PAYLOAD_TYPE, {})
        signed = base64.b64encode(self._signer.sign(envelope.pae())).decode()
        return {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(said).decode(),
            "signatures": [{"keyid": self._signer.key_id, "sig": signed}],
        }


def _judged(verdict: Word) -> str:
    """Return the phase of a run that its audit has a verdict."""
    return b.audit_phase(b.JUDGED, verdict.subject.removeprefix(b.audit("")))


def doubtful_runs(book: AuditBook, facts: Facts, uids: Container[str]) -> dict[str, list[int]]:
    """Return of jobs which runs nobody should rely on, in order; what was found to be right is not among them."""
    found: dict[str, list[int]] = {}
    for _, word in book.words(b.DOUBTFUL):
        run = word.subject.removeprefix("run/")
        uid, _, epoch = run.rpartition(".")
        if uid in uids:
            said = _audit_of(book, facts, run).get(b.VERDICT, {})
            if said.get("verdict") != Verdict.PASSED:
                found.setdefault(uid, []).append(int(epoch))
    return {uid: sorted(epochs) for uid, epochs in found.items()}


def _audit_of(book: AuditBook, facts: Facts, run: str) -> dict[str, b.Body]:
    end = facts.end_of(run)
    return {} if end is None else book.of(b.audit(end.digest))
