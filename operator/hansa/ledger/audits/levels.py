"""What nodes have shown, from the evidence: computed anew each time, told when it changes or grows old."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from hansa.api.sovereignnode import AssuranceWord
from hansa.errors import HansaError
from hansa.ledger.audits import book as b
from hansa.ledger.audits.book import AuditBook
from hansa.ledger.audits.facts import Facts
from hansa.ledger.audits.hardware import Hardware
from hansa.ledger.audits.nodes import LeagueNode
from hansa.ledger.audits.probes.probes import Probes
from hansa.ledger.receipts.logbook import Logbook
from hansa.model.times import from_rfc3339, rfc3339
from hansa.ports import Signer
from hansa.verification.auditors import Independence
from hansa.verification.course.claims import Kind
from hansa.verification.course.signed_words import read_word, say
from hansa.verification.levels import Evidence, Freshness, Shown, Standing, standing
from hansa.verification.verdict import Verdict

MOST_WORDS = 300
"""Characters of why a node is at no higher level."""
WORD_S = 86_400
"""How long a word counts at most: a ledger that is away for longer vouches for nobody."""
KINDS = {Independence.INDEPENDENT: Evidence.AUDIT, Independence.SELF: Evidence.OWN_AUDIT}


class Levels:
    """Reads what was shown."""

    def __init__(
        self,
        book: AuditBook,
        facts: Facts,
        logbook: Logbook,
        probes: Probes,
        hardware: Hardware,
    ) -> None:
        """``logbook``: says which receipts are in the witnessed log."""
        self._probes, self._hardware = probes, hardware
        self._book, self._facts, self._logbook = book, facts, logbook
        self._fresh = Freshness()
        self._verdicts: dict[str, tuple[str, str, tuple[Shown, ...]]] = {}
        """Subject → node's key, verdict and what that shows. They are never changed, so each is read once."""
        self._new = b.Following(book, b.VERDICT)

    def standings(self, nodes: Mapping[str, LeagueNode], now_s: int) -> dict[str, Standing]:
        """Return node → where it stands; one whose key was replaced begins anew."""
        self._catch_up(now_s)
        verdicts: dict[str, list[Shown]] = {}
        for key, _, shown in self._verdicts.values():
            verdicts.setdefault(key, []).extend(shown)
        due, probed = self._oldest_due(), self._probes.shown(now_s)
        devices = self._hardware.attested(nodes.values(), now_s)
        found = {}
        for name, node in nodes.items():
            device = devices.get(node.key)
            evidence = [
                *self._logged(node.key),
                *probed.get(node.key, ()),
                *verdicts.get(node.key, ()),
                *([device.shown] if device and device.shown else ()),
            ]
            now = standing(evidence, now_s, self._fresh, oldest_due_s=due.get(node.key))
            found[name] = self._explained(node.key, now, device.why if device else "")
        return found

    def _explained(self, node_key: str, found: Standing, device: str) -> Standing:
        """Say of a node that lacks a probe what became of its last one, and what its hardware shows where that counts."""
        last = self._probes.last_words(node_key) if found.needs is Evidence.PROBE else ""
        if found.needs in {Evidence.HARDWARE, None}:
            last = device
        return replace(found, why=f"{found.why}; {last}"[:MOST_WORDS]) if last else found

    def verdicts(self, now_s: int) -> dict[str, int]:
        """Return verdict → how many there are."""
        self._catch_up(now_s)
        return Counter(verdict for _, verdict, _ in self._verdicts.values())

    def _catch_up(self, now_s: int) -> None:
        for word in self._new.new(now_s * 1000):
            body = word.body
            self._verdicts[word.subject] = body["nodeKey"], body["verdict"], tuple(_shown(body))

    def overdue(self, now_s: int) -> int:
        """Return how many audits have been due for too long."""
        return sum(now_s - since > self._fresh.overdue_s for _, since in self._due())

    def _oldest_due(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for key, since in self._due():
            found[key] = min(found.get(key, since), since)
        return found

    def _due(self) -> Iterator[tuple[str, int]]:
        """Yield (key of the node, since when) of audits that are not decided."""
        for recorded_ms, word in self._book.open_words(b.DUE, b.VERDICT):
            yield word.body["nodeKey"], recorded_ms // 1000

    def _logged(self, node_key: str) -> Iterator[Shown]:
        for digest, receipt in self._facts.newest(node_key):
            try:
                self._logbook.prove(digest)
            except HansaError:
                continue
            yield Shown(Evidence.RECEIPT, receipt.issued_s)
            return


def _shown(body: b.Body) -> Iterator[Shown]:
    kind = KINDS.get(Independence(body["independence"]))
    if body.get("claim", Kind.RESULT) != Kind.RESULT:
        # That work fails at two places shows nothing of what a node can do.
        return
    if kind is not None and body["verdict"] in {Verdict.PASSED, Verdict.FAILED}:
        yield Shown(kind, body["atS"], passed=body["verdict"] == Verdict.PASSED)


def word_for(node: LeagueNode, now: Standing, now_s: int, signer: Signer) -> AssuranceWord | None:
    """Return what to tell of a node; None: what is told says it, and will for a while."""
    level = min(now.level, node.bound)
    keys = {signer.key_id: signer.public_key}
    told = read_word(node.status.get("assurance"), AssuranceWord, node_key=node.key, keys=keys)
    until_s = min(now_s + WORD_S, now.until_s or now_s + WORD_S)
    since = rfc3339(now_s)
    if isinstance(told, AssuranceWord) and told.level == f"L{level.value}":
        ends_s = from_rfc3339(told.until) or 0
        is_lasting = ends_s >= until_s - WORD_S // 2 and ends_s <= until_s
        if told.why == now.why[:MOST_WORDS] and is_lasting:
            return None
        since = told.since
    return say(
        signer,
        AssuranceWord,
        node_key=node.key,
        level=f"L{level.value}",
        since=since,
        until=rfc3339(until_s),
        why=now.why[:MOST_WORDS],
    )
