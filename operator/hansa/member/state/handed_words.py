"""What the ledger hands this member against the league: a proof that its receipts are logged, and what is disputed.

It is checked, and kept in a ConfigMap of the agent's own: a hub that is gone, or thinks better of it, takes neither back.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from hansa.api.node.receipts import MOST_DISPUTED, DisputedReceipt, ProvedReceipt
from hansa.errors import Conflict, Terminal
from hansa.member.state.receipt_lines import envelopes, parsed
from hansa.member.state.receipt_store import RECEIPTS, page_of
from hansa.member.state.versioned_maps import VersionedMaps
from hansa.ports import Cluster
from hansa.receipts.bundle import log_entry
from hansa.receipts.envelope import digest
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.note import KeyType, VerifierKey
from hansa.translog.policy import Policy
from hansa.translog.proof import LogProof

log = logging.getLogger(__name__)
NAME = "hansa-receipts-told"
PROVED = "proved"
"""Key of the newest proof; what is disputed stands under the digest's hexadecimals and the field."""
MOST_KEPT = 256
"""Disputes: the newest stay."""


class HandedWords:
    """The ConfigMap, read when it is needed first."""

    def __init__(self, cluster: Cluster, namespace: str, key_id: str) -> None:
        """No I/O until the first call. ``key_id``: of the key that signs this member's receipts."""
        self._maps, self._key_id = VersionedMaps(cluster, namespace), key_id
        self._lines: dict[str, str] | None = None

    async def take(self, said: Mapping[str, Any], public_keys: Iterable[str]) -> list[str]:
        """Keep what a hub shows in ``status.receipts``; returns what of it is not kept, and why.

        ``public_keys``: of the hubs that are trusted, base64: each is its log's key too.
        """
        known = await self._read()
        news, troubles = self._disputes(said.get("disputed"), known)
        proved = said.get("proved")
        if proved is not None and proved != _loaded(known.get(PROVED)):
            trouble = await self._unproved(proved, known, public_keys)
            if trouble:
                troubles.append(f"proof not taken: {trouble}")
            else:
                news[PROVED] = orjson.dumps(proved).decode()
        if news:
            try:
                await self._maps.write(NAME, news)
            except Conflict:
                self._lines = None
                return [*troubles, f"another agent wrote {NAME}: it is read again"]
            self._lines = {k: v for k, v in {**known, **news}.items() if v is not None}
        return troubles

    async def _read(self) -> dict[str, str]:
        if self._lines is None:
            self._lines = await self._maps.read(NAME) or {}
        return self._lines

    def _disputes(
        self, shown: object, known: Mapping[str, str]
    ) -> tuple[dict[str, str | None], list[str]]:
        news: dict[str, str | None] = {}
        troubles = []
        rows = shown[:MOST_DISPUTED] if isinstance(shown, list) else []
        for row in rows:
            try:
                one = DisputedReceipt.model_validate(row)
            except ValidationError:
                troubles.append("a dispute that is shown cannot be read")
                continue
            key = f"{one.digest.removeprefix('sha256:')}.{_plain(one.fault)}.{_plain(one.field)}"
            if key not in known:
                log.warning("receipt disputed", extra=one.model_dump(exclude={"message"}))
                news[key] = one.model_dump_json(by_alias=True)
        kept = [key for key in known if key != PROVED]
        # The oldest go by their order in the map, which an API server keeps by name: any will do.
        for key in kept[: max(0, len(kept) + len(news) - MOST_KEPT)]:
            news[key] = None
        return news, troubles

    async def _unproved(
        self,
        shown: object,
        known: Mapping[str, str],
        public_keys: Iterable[str],
    ) -> str:
        """Return why a proof proves nothing of ours, or nothing."""
        try:
            one = ProvedReceipt.model_validate(shown)
            proof = LogProof.parse(one.proof.encode())
            origin = Checkpoint.parse(proof.checkpoint.text).origin
            policy = Policy.of_logs(_log_keys(origin, public_keys))
            proof.verify(log_entry(one.digest), policy)
        except (ValidationError, Terminal) as error:
            return str(error)[:200]
        before = parsed(ProvedReceipt, known[PROVED]) if PROVED in known else None
        if before is not None and before.sequence >= one.sequence:
            return f"it is of receipt {one.sequence}, and {before.sequence} is proved"
        page = await self._maps.read(RECEIPTS.format(page_of(one.sequence)))
        own = envelopes(page or {}, self._key_id).get(one.sequence)
        if own is None or digest(own) != one.digest:
            return f"receipt {one.sequence} is not {one.digest}"
        return ""


def _log_keys(origin: str, public_keys: Iterable[str]) -> Iterator[VerifierKey]:
    for key in public_keys:
        yield VerifierKey(origin, KeyType.ED25519, base64.b64decode(key))


def _plain(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in text)


def _loaded(line: str | None) -> object:
    return None if line is None else orjson.loads(line)
