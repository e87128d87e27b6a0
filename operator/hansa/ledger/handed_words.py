"""Hands each member what it needs against the league: a proof that its receipts are logged, and what is disputed.

Both stand in its node's status, where it reads how far it was taken. One proof is enough for all its receipts: the newest
one's digest covers those before it in its chain. What is disputed is bounded; all of it is in the books.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Engine

from hansa.api.kinds import SOVEREIGNNODE
from hansa.api.node.receipts import MOST_DISPUTED, MOST_PROOF, MOST_WORDS, receipts_of
from hansa.errors import HansaError
from hansa.ledger.audits.facts import Facts
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.receipts.logbook import Logbook
from hansa.ledger.receipts.source import NodeReceipts
from hansa.ledger.source import ReceiptSource
from hansa.ledger.store.sides import disputed as open_disputes
from hansa.ports import Cluster

log = logging.getLogger(__name__)


class HandedWords:
    """For one caller at a time, who is the log's only one meanwhile."""

    def __init__(
        self, cluster: Cluster, hub: HubView, engine: Engine, logbook: Logbook | None
    ) -> None:
        """``logbook`` None: nothing is logged, and nothing proved."""
        self._cluster, self._hub, self._logbook = cluster, hub, logbook
        self._engine, self._facts = engine, Facts(engine)

    async def step(self) -> None:
        """Tell each node what is new; one that cannot be told holds up no other."""
        if not self._hub.synced:
            return
        nodes = list(self._hub.nodes())
        disputed = await asyncio.to_thread(open_disputes, self._engine, MOST_DISPUTED)
        for node in nodes:
            name, said = node["metadata"]["name"], receipts_of(node)
            news = await asyncio.to_thread(self._proved, said)
            rows = [_row(*one) for one in disputed.get(name, ())]
            if rows != (said.get("disputed") or []):
                await self._tell(name, {"disputed": rows})
            if news and len(news["proved"]["proof"]) > MOST_PROOF:
                error = f"it is longer than {MOST_PROOF} characters: have fewer witnesses cosign"
                _left_out(name, "proved", error)
            elif news:
                await self._tell(name, news)

    async def _tell(self, name: str, news: Mapping[str, Any]) -> None:
        """Write one thing by itself: what the hub refuses of a proof holds up no dispute."""
        path = SOVEREIGNNODE.path(name=name) + "/status"
        try:
            await self._cluster.merge(path, {"status": {"receipts": news}})
        except HansaError as error:
            _left_out(name, " ".join(news), str(error))

    def _proved(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Return the proof of the newest receipt that has one, where the node has an older or none."""
        taken, before = said.get("taken"), said.get("proved")
        if self._logbook is None or not isinstance(taken, Mapping) or not taken.get("sequence"):
            return {}
        shown = before if isinstance(before, Mapping) else {}
        for sequence, digest in self._newest(taken, shown):
            try:
                proof = self._logbook.prove(digest).encode().decode()
            except HansaError:
                # It is not logged or not witnessed yet: one before it may be.
                continue
            return {"proved": {"sequence": sequence, "digest": digest, "proof": proof}}
        return {}

    def _newest(
        self, taken: Mapping[str, Any], shown: Mapping[str, Any]
    ) -> Iterator[tuple[int, str]]:
        """Yield (sequence, digest) of receipts up to the one taken that are not shown as proved, the newest first."""
        last = str(taken.get("digest"))
        if shown.get("digest") == last:
            return
        yield taken["sequence"], last
        for digest, receipt in self._facts.newest(str(taken.get("nodeKey"))):
            if receipt.sequence <= (shown.get("sequence") or 0):
                return
            if receipt.sequence < taken["sequence"]:
                yield receipt.sequence, digest


def handed_words_of(source: ReceiptSource, engine: Engine) -> HandedWords | None:
    """Return who hands out what there is of a source's receipts; None: members send it none."""
    if not isinstance(source, NodeReceipts):
        return None
    return HandedWords(source.cluster, source.hub, engine, source.logbook)


def _left_out(node: str, what: str, error: str) -> None:
    log.warning("not handed out", extra={"node": node, "what": what, "error": error})


def _row(digest: str, fault: str, field: str, message: str) -> dict[str, str]:
    return {
        "digest": digest,
        "fault": fault,
        "field": field,
        "message": message[:MOST_WORDS],
    }
