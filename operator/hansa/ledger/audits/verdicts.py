"""What follows from an audit that is closed: written once with its reasons, then done, however often it takes.

What is to be seized and given back is fixed with the verdict. A crash in between repeats the deeds, and each claim in
the books moves once.
"""

from __future__ import annotations

import base64
from collections.abc import Container, Mapping
from dataclasses import replace

import rfc8785
from securesystemslib import dsse

from hansa.accounting.postings import Event
from hansa.ledger.audits import book as b
from hansa.ledger.audits.book import AuditBook, Word
from hansa.ledger.audits.course import Case
from hansa.ledger.audits.facts import Facts
from hansa.ledger.audits.levels import KINDS
from hansa.ledger.store.writer import LedgerWriter
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

    def __init__(self, book: AuditBook, facts: Facts, writer: LedgerWriter, signer: Signer) -> None:
        """``signer``: the hub's key, which signs the statement."""
        self._book, self._facts = book, facts
        self._writer, self._signer = writer, signer

    def write(self, case: Case, close: Close, now_s: int) -> None:
        """Keep a verdict with all that follows from it."""
        due, verdict = case.due, close.decision.verdict
        body = {
            "run": due["run"],
            "node": due["node"],
            "nodeKey": due["nodeKey"],
            "claim": due.get("claim", Kind.RESULT),
            "verdict": verdict.value,
            "independence": close.independence.value,
            "why": close.decision.why,
            "outvoted": list(close.decision.outvoted),
            "atS": now_s,
            "statement": self._signed(case, close, now_s),
        }
        follows = self._consequences(case, close, now_s)
        body |= {
            "seize": [receipt for receipt, _ in follows.seize],
            "void": list(follows.void),
            "pledges": list(follows.pledges),
            "doubtful": sorted({run for _, runs in follows.tell for run in runs}),
        }
        words = [Word(case.subject, b.VERDICT, body)]
        if verdict in {Verdict.FAILED, Verdict.LOST}:
            words.append(Word(b.run(due["run"]), b.CONDEMNED, {}))
        self._book.add(words, now_s * 1000)

    def follow(self, said: b.Body, now_ms: int) -> None:
        """Move the money that a verdict names: seized to the kitty, given back where it was not due."""
        note = f"audit of {said['run']}: {said['why']}"[:500]
        # What was pending may have been posted since: each claim goes the way that it still can.
        both = [*said["seize"], *said["void"]]
        self._writer.happen(Event.VOID, both, now_ms, note=note)
        self._writer.happen(Event.SEIZE, both, now_ms, note=note)
        self._writer.happen(Event.SEIZE_PLEDGE, said.get("pledges", ()), now_ms, note=note)

    def _consequences(self, case: Case, close: Close, now_s: int) -> Consequences:
        # Whoever runs it: that work was lost shows nothing of a node, and may stand in its own receipt.
        is_lost = close.decision.verdict is Verdict.LOST
        kind = Evidence.AUDIT if is_lost else KINDS.get(close.independence)
        if kind is None:
            return Consequences()
        unsettled = self._facts.unsettled(case.due["node"])
        failures = self._book.failures(one.run for one in unsettled)
        unsettled = [replace(one, failed=one.run in failures) for one in unsettled]
        audited = next(
            (one for one in unsettled if one.receipt == case.receipt),
            Unsettled(case.receipt, case.due["run"], case.due["payer"], 0),
        )
        audited = replace(audited, failed=case.due.get("claim") == Kind.FAILURE)
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
