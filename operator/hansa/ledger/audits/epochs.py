"""Audit epochs: open, closed with a checkpoint of the log, drawn once the auditors' keys are there.

1. While an epoch is open, auditors commit to the key of the next one.
2. It is closed by the log's checkpoint: which receipts are in it is fixed, and no key of it is known yet.
3. Auditors reveal its keys. When all are there, or after a while, its runs are drawn.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from hansa.api.sovereignnode import ClosedEpoch
from hansa.ledger.audits import book as b
from hansa.ledger.audits.book import AuditBook, Word
from hansa.ledger.audits.course import span_of
from hansa.ledger.audits.facts import Ended, Facts
from hansa.ledger.audits.nodes import AuditRules, League, LeagueNode, by_node, commitments, reveals
from hansa.ledger.receipts.endings import LEFT
from hansa.ledger.receipts.evidence import Evidence
from hansa.model.times import rfc3339
from hansa.verification.auditors import Candidate, Independence
from hansa.verification.course.claims import Kind
from hansa.verification.course.progress import Span
from hansa.verification.due import Account, Due, Epoch, Run, due
from hansa.verification.levels import Level
from hansa.verification.probability import Sampling
from hansa.verification.tickets import epoch_key

UNKNOWN = AuditRules()
FOR_EVER_MS = 1 << 53
NO_SPEC = "the ledger was away while its grant was there, and does not know what it had to do"
Paid = Mapping[tuple[str, int], int]
"""A job's uid, and the epoch of one of its runs → micros charged for it."""
Told = Mapping[str, Mapping[str, b.Body]]  # run → phase → what was said of it
SILENT_FOR_MS = 7 * 86_400_000
"""So long after the hub has heard of a run's end it is drawn without its last receipt."""


class Drawn(NamedTuple):
    """A run that has a place in a draw."""

    ended: Ended
    run: Run
    span: Span
    """How long an audit of it may take."""


class Epochs:
    """Moves epochs on. For one caller at a time."""

    def __init__(
        self, book: AuditBook, facts: Facts, evidence: Evidence, *, length_s: int, reveal_s: int
    ) -> None:
        """``length_s``: of an epoch; ``reveal_s``: how long a closed one waits for keys."""
        self._book, self._facts, self._evidence = book, facts, evidence
        self._length_ms, self._reveal_ms = length_s * 1000, reveal_s * 1000

    def now_open(self, now_ms: int) -> int:
        """Return the number of the open epoch; the first one opens when it is asked for."""
        subject = next(reversed(self._book.open(b.OPENED, b.CLOSED)), None)
        if subject is None:
            self._book.add([Word(b.epoch(0), b.OPENED, {"atMs": now_ms})], now_ms)
            return 0
        return b.number(subject)

    def last_closed(self, now_ms: int) -> ClosedEpoch | None:
        """Return the epoch before the open one, as auditors are told."""
        before = self.now_open(now_ms) - 1
        said = self._book.of(b.epoch(before)).get(b.CLOSED) if before >= 0 else None
        return (
            None
            if said is None
            else ClosedEpoch(epoch=before, size=said["size"], root=said["root"])
        )

    def note(self, nodes: Iterable[LeagueNode], now_ms: int) -> None:
        """Keep what auditors say: commitments to epochs that are to come, reveals of closed ones."""
        current = self.now_open(now_ms)
        coming = self._book.of(b.epoch(current + 1))
        closed = self._book.of(b.epoch(current - 1)) if current else {}
        words = []
        for node in nodes:
            commitment, reveal = node.commitment, node.reveal
            phase = b.COMMITTED + node.key
            if commitment and commitment.epoch == current + 1 and phase not in coming:
                body = {"digest": commitment.digest, "institution": node.institution}
                words.append(Word(b.epoch(current + 1), phase, body))
            phase = b.REVEALED + node.key
            if reveal and reveal.epoch == current - 1 and phase not in closed:
                body = {"key": reveal.key, "root": reveal.root}
                words.append(Word(b.epoch(current - 1), phase, body))
        self._book.add(words, now_ms)

    def close(self, size: int, root: bytes, now_ms: int) -> bool:
        """Close the open epoch with the log's present checkpoint if its time has come."""
        current = self.now_open(now_ms)
        opened_ms = self._book.of(b.epoch(current))[b.OPENED]["atMs"]
        if 0 <= now_ms - opened_ms < self._length_ms:
            return False
        body = {"size": size, "root": f"sha256:{root.hex()}", "atMs": now_ms, "fromMs": opened_ms}
        if opened_ms > now_ms:
            # Opened by a clock that ran ahead, and was put back: this one takes all that was recorded since it did.
            body |= {"fromMs": self._opened_before(now_ms), "aheadMs": opened_ms}
        words = (
            Word(b.epoch(current), b.CLOSED, body),
            Word(b.epoch(current + 1), b.OPENED, {"atMs": now_ms}),
        )
        with self._book.deciding() as within:
            self._book.add(words, now_ms, within)
        return True

    def _opened_before(self, now_ms: int) -> int:
        """Return when the last epoch was opened that was not opened after ``now_ms``."""
        times = (word.body["atMs"] for _, word in self._book.words(b.OPENED))
        return max((at_ms for at_ms in times if at_ms <= now_ms), default=0)

    def draw(self, league: League, now_ms: int) -> None:
        """Draw the closed epochs whose keys are there, or late."""
        for subject in self._book.open(b.CLOSED, b.DRAWN):
            said = self._book.of(subject)
            committed = by_node(said, b.COMMITTED).keys()
            is_late = not 0 <= now_ms - said[b.CLOSED]["atMs"] < self._reveal_ms
            if is_late or committed <= by_node(said, b.REVEALED).keys():
                with self._book.deciding() as within:
                    self._book.add(self._drawn(subject, said, league, now_ms), now_ms, within)

    def _drawn(
        self, subject: str, said: Mapping[str, b.Body], league: League, now_ms: int
    ) -> list[Word]:
        """Return the words of a draw; the draw's own comes last."""
        closed = said[b.CLOSED]
        epoch = Epoch(
            epoch_key(
                b.number(subject),
                closed["fromMs"] // 1000,
                commitments(said, self._book.recorded_ms(subject)),
                reveals(said, closed["root"]),
            ),
            bytes.fromhex(closed["root"].removeprefix("sha256:")),
        )
        ended, waiting = self._ended(closed, league)
        told = self._book.of_all(b.run(one.receipt.run) for one in ended)
        paid = self._facts.payments(map(_key, ended))
        runs, lost, unfit = self._runs(ended, told, paid, league)
        accounts = {
            who.node: self._account(who, closed["fromMs"])
            for who in {one.run.provider for one in runs.values()}
        }
        every = tuple(node.candidate(league.level(name)) for name, node in league.nodes.items())
        audits = due(
            (one.run for one in runs.values()), epoch, accounts, UNKNOWN.sampling, lambda _: every
        )
        words = [_due(one, runs[one.run.receipt], league, now_ms // 1000) for one in audits]
        words += [
            _audit(one, self._institution(one, league), one.claim.why, {"ranking": []})
            for one in lost
        ]
        audited = {word.body["run"] for word in words}
        words += [Word(b.run(one.receipt.run), b.WAITING, {}) for one in waiting]
        words += _noted(ended, told, paid, audited)
        words += [
            Word(b.run(one.ended.receipt.run), b.FAILED, {"receipt": one.ended.digest})
            for one in runs.values()
            if one.run.failed
        ]
        body = {
            "spoilt": {who: why.value for who, why in epoch.keys.spoilt.items()},
            "withKeys": epoch.keys.key is not None,
            "runs": {one.ended.receipt.run: one.ended.digest for one in runs.values()},
            "due": sorted("sha256:" + one.run.receipt.hex() for one in audits),
            "lost": [one.receipt.run for one in lost],
            "unfit": unfit,
        }
        return [*words, Word(subject, b.DRAWN, body)]

    def _account(self, provider: Candidate, at_ms: int) -> Account:
        unsettled = self._facts.unsettled(provider.node, at_ms)
        failures = self._book.failures(one.run for one in unsettled)
        return Account(
            unsettled=sum(one.held for one in unsettled),
            bond=sum(self._facts.pledges(provider.institution, at_ms).values()),
            failed=sum(one.held for one in unsettled if one.run in failures),
        )

    def _ended(self, closed: b.Body, league: League) -> tuple[list[Ended], list[Ended]]:
        """Return the runs to be drawn with a closed epoch, and those of whose end the hub has yet to hear.

        A member that told it late, or never, would otherwise be judged by its own word alone.
        """
        every = {one.receipt.run: one for one in (*self._in_time(closed, league), *self._untold())}
        untold = [one for run, one in every.items() if one.is_untold and run in league.granted]
        waiting = {one.receipt.run for one in untold}
        return [one for run, one in every.items() if run not in waiting], untold

    def _untold(self) -> list[Ended]:
        """Return the runs of epochs before that have waited for the hub to hear of their ends."""
        waiting = self._book.open(b.WAITING, b.HEARD)
        return self._facts.ends_of(subject.removeprefix(b.run("")) for subject in waiting)

    def _in_time(self, closed: b.Body, league: League) -> list[Ended]:
        """Return the runs whose last receipts are in a closed epoch, and those whose ends or results were told since."""
        found = self._facts.ended(closed["fromMs"], closed["atMs"])
        told = self._book.of_all(b.run(one.receipt.run) for one in found)
        found = [one for one in found if b.SILENT not in told[b.run(one.receipt.run)]]
        later = list(self._told_later(closed, {one.receipt.run for one in found}))
        found += self._left_over(closed, league)
        if "aheadMs" in closed:
            later += self._facts.ended(closed["aheadMs"], FOR_EVER_MS)
        if not later:
            return found
        drawn = [word.body for _, word in self._book.words(b.DRAWN)]
        if "aheadMs" in closed:
            known = {run for body in drawn for run in (*body["runs"], *body["unfit"])}
            return [one for one in (*found, *later) if one.receipt.run not in known]
        known = {run for body in drawn for run in (*body["runs"], *body.get("lost", ()))}
        return [*found, *(one for one in later if one.receipt.run not in known)]

    def _told_later(self, closed: b.Body, mine: Container[str]) -> Iterator[Ended]:
        """Yield the runs of epochs before whose results were told in this one: they had nothing to compare."""
        told = (
            word.subject.removeprefix(b.run(""))
            for at_ms, word in self._book.words(LEFT, closed["fromMs"])
            if at_ms <= closed["atMs"]
        )
        ends = self._facts.ends_of(run for run in told if run not in mine)
        said = self._book.of_all(b.run(one.receipt.run) for one in ends)
        for one in ends:
            # Without a last receipt that is sound it was drawn when its time had come, and not before.
            was_drawn = one.receipt.last or b.HEARD in said[b.run(one.receipt.run)]
            if was_drawn and one.recorded_ms <= closed["fromMs"]:
                yield one

    def _left_over(self, closed: b.Body, league: League) -> Iterator[Ended]:
        """Yield the runs with pending pay that no epoch has: they ended before the first one, or without a last receipt.

        Those are drawn long after the hub has heard of the end, or after their newest receipt where their grant is gone.
        """
        long_ago_ms = closed["atMs"] - SILENT_FOR_MS
        first_ms = self._book.of(b.epoch(0))[b.OPENED]["atMs"]
        for one in self._facts.ends_of(self._facts.undrawn(closed["atMs"])):
            is_gone = not one.is_untold or one.receipt.run not in league.granted
            is_silent = not one.receipt.last and is_gone and one.heard_of_ms <= long_ago_ms
            if is_silent or (one.receipt.last and one.recorded_ms <= first_ms):
                yield one

    def _runs(
        self, ended: Sequence[Ended], told: Told, paid: Paid, league: League
    ) -> tuple[dict[bytes, Drawn], list[Ended], dict[str, str]]:
        """Return the runs of an epoch by receipt, what was lost, and run → why it cannot be audited."""
        partly = self._facts.partly_booked(one.receipt.run for one in ended)
        runs: dict[bytes, Drawn] = {}
        lost: list[Ended] = []
        unfit: dict[str, str] = {}
        for one in ended:
            spec, claim = told[b.run(one.receipt.run)].get(b.SPEC), one.claim
            if spec is None:
                unfit[one.receipt.run] = NO_SPEC + one.lacks
            elif claim.kind is Kind.LOST and paid[_key(one)]:
                lost.append(one)
            elif spec["spec"].get("audit"):
                continue
            elif claim.kind in {Kind.LOST, Kind.SILENT}:
                unfit[one.receipt.run] = claim.why + one.lacks
            else:
                rules = league.rules.get(spec["spec"].get("pool", ""), UNKNOWN)
                # Else what it will have been paid for nobody knows yet; of one unheard that pay is all that it can lose.
                is_usual = one.receipt.last and one.receipt.run not in partly and not one.is_unheard
                sampling = rules.sampling if is_usual else UNKNOWN.sampling
                found = self._run(one, paid[_key(one)], sampling, league)
                runs[found.receipt] = Drawn(one, found, span_of(spec["spec"], rules.within_s))
        return runs, lost, unfit

    def _run(self, one: Ended, paid: int, sampling: Sampling, league: League) -> Run:
        work = one.receipt.work
        node = league.nodes.get(work.node)
        if node is not None:
            provider = node.candidate(league.level(node.name))
        else:
            name = self._institution(one, league)
            provider = Candidate(work.node, name, name, work.jurisdiction, Level.DECLARED)
        receipt = bytes.fromhex(one.digest.removeprefix("sha256:"))
        run = Run(receipt, one.receipt.sequence, provider, work.institution, paid, paid, sampling)
        return replace(run, failed=one.claim.kind is Kind.FAILURE)

    def _institution(self, one: Ended, league: League) -> str:
        """Return who operated the node of a run; it may have left the league since."""
        work = one.receipt.work
        if work.node in league.nodes:
            return league.nodes[work.node].institution
        granted = self._evidence.granted(one.receipt.run, work.node_key)
        return granted.provider if granted else ""


def _due(one: Due, drawn: Drawn, league: League, now_s: int) -> Word:
    chosen, run, until_s = one.auditors, drawn.run, now_s + drawn.span.most_s
    independent = chosen.nodes if chosen.independence is Independence.INDEPENDENT else ()
    why = f"{one.why}; it is awaited until {rfc3339(until_s)}{drawn.ended.lacks}"
    more = {
        "ownerGroup": run.provider.owner_group,
        "ticket": f"{one.ticket:064x}",
        "lacks": drawn.ended.lacks,
        "unheard": drawn.ended.is_unheard,
        "withinS": drawn.span.within_s,
        "ranking": [
            [name, league.nodes[name].institution, league.nodes[name].owner_group]
            for name in independent
        ],
    }
    return _audit(drawn.ended, run.provider.institution, why, more)


def _audit(ended: Ended, institution: str, why: str, more: b.Body) -> Word:
    """Return the word of an audit; with an empty ranking nobody has to run it again to know that its work was lost."""
    work = ended.receipt.work
    body = {
        "run": ended.receipt.run,
        "node": work.node,
        "nodeKey": work.node_key,
        "institution": institution,
        "payer": work.institution,
        "claim": ended.claim.kind.value,
        "why": why,
    }
    return Word(b.audit(ended.digest), b.DUE, {**body, **more})


def _noted(
    ended: Iterable[Ended], told: Told, paid: Paid, audited: Container[str]
) -> Iterator[Word]:
    """Yield how far runs have come; what is audited is decided with its verdict."""
    for one in ended:
        run = b.run(one.receipt.run)
        yield Word(run, b.HEARD, {"receipt": one.digest})
        if not one.receipt.last:
            yield Word(run, b.SILENT, {"receipt": one.digest})
        if one.receipt.run not in audited:
            # Whatever is booked of it later: nothing was lost yet that could be given back.
            is_lost = one.claim.kind is Kind.LOST and not paid[_key(one)]
            yield Word(run, b.CONDEMNED if is_lost else b.DECIDED, {})
        elif b.DECIDED in told[run]:
            yield Word(run, b.audit_phase(b.REOPENED, one.digest), {})


def _key(one: Ended) -> tuple[str, int]:
    return one.receipt.work.job_uid, one.receipt.work.epoch
