"""How runs ended, what of them left their members, and which GPUs nodes had, as the hub was told.

Each is kept when it is heard of first: a grant is gone when its run is released, and receipts come later. What is kept here stands beside the grant, as words
of its run in the table of audits, also where nobody audits.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy import Connection, bindparam, select

from hansa.api.sovereignnode import CarbonDeclaration
from hansa.api.workgrant import GIVEN_UP_ANNOTATION
from hansa.ledger.receipts.grant_notes import result_of
from hansa.ledger.receipts.grants import Claimed
from hansa.ledger.store import schema
from hansa.ports import Manifest
from hansa.receipts.countersign import Ending
from hansa.reconcile.member import grant_status

ENDED, LEFT, REFUSED, DROPPED = "Ended", "Left", "Refused", "Dropped"
"""Phases of a run: it has ended; its result was told; its result was not released in time; the hub
took its grant away, and had been told of no end."""
A_READ = 500
MOST_CHANGES, WINDOW_S = 240, 86_400
"""So often in such a time a node's GPUs may change and each change counts: a rolling upgrade of a hundred machines."""
_STOCK = select(schema.AUDIT.c.phase, schema.AUDIT.c.body).where(
    schema.AUDIT.c.subject == bindparam("subject")
)
_WORDS = select(
    schema.AUDIT.c.subject, schema.AUDIT.c.phase, schema.AUDIT.c.body, schema.AUDIT.c.recorded_ms
).where(
    schema.AUDIT.c.subject.in_(bindparam("subjects", expanding=True)),
    schema.AUDIT.c.phase.in_((ENDED, LEFT, REFUSED, DROPPED)),
)
TOLD_MS = "toldMs"
"""In a word's body, as it is read: when it was recorded."""


class Heard(NamedTuple):
    """One thing that a grant told of its run, or a node of its GPUs."""

    subject: str
    phase: str
    body: Mapping[str, Any]

    def row(self, recorded_ms: int) -> dict[str, object]:
        """Return it as a row of the table."""
        return {**self._asdict(), "body": json.dumps(self.body), "recorded_ms": recorded_ms}


def heard_from(claim: Claimed, thing: Manifest, hub_s: float) -> Iterator[Heard]:
    """Yield what a WorkGrant tells. ``claim``: of the same grant; ``hub_s``: when, by the clock of the hub's API server."""
    status = thing.get("status") or {}
    run, told = (
        f"{schema.OF_RUN}{claim.run}",
        grant_status.reported({"status": {**status, "conditions": _rows(status, "conditions")}}),
    )
    exports, result = _rows(status, "exports"), result_of(thing)
    # Whoever lets go of a run, or refuses it, never to say that it ended, has said why it ended: for nothing. The hub
    # drops such a grant.
    is_refused = told.accepted is False and not grant_status.is_outdated(thing)
    if told.finished or told.released or is_refused:
        body = {
            "reason": told.reason,
            "held": bool(exports),
            "cancelled": _is_stopped(thing),
            "hubS": math.ceil(hub_s),
        }
        yield Heard(run, ENDED, body)
    if result is not None:
        digest = f"sha256:{hashlib.sha256(result.encode()).hexdigest()}"
        yield Heard(run, LEFT, {"digest": digest, "released": bool(exports)})
    if any(row.get("state") == "Refused" for row in exports):
        yield Heard(run, REFUSED, {})


def dropped(claim: Claimed, thing: Manifest) -> Iterator[Heard]:
    """Yield that the hub has taken a WorkGrant away without a word of its run's end. ``thing``: as it was then.

    Where the hub had asked for its end it knows why. Where its memory was older than its member's, the run may live on.
    """
    has_ended = any(one.phase == ENDED for one in heard_from(claim, thing, 0))
    if not (has_ended or _is_stopped(thing) or grant_status.is_outdated(thing)):
        yield Heard(f"{schema.OF_RUN}{claim.run}", DROPPED, {})


def _is_stopped(thing: Manifest) -> bool:
    """Tell whether the hub stopped a run that its node might still have had: by then, a silent one had to be over."""
    noted = thing["metadata"].get("annotations") or {}
    return thing["spec"].get("cancel") == "Stop" and GIVEN_UP_ANNOTATION not in noted


def declared_by(node: Manifest, at_ms: int) -> Heard:
    """Return which GPUs a node says that it has now, and what its power is made of; the phase is the moment."""
    said = dict(_stock(_rows(node.get("status"), "inventory")))
    body = {"gpus": said, "carbon": _carbon((node.get("spec") or {}).get("carbon"))}
    return Heard(f"{schema.OF_NODE}{node['metadata']['name']}", str(at_ms), body)


class Declarations:
    """What nodes have told of their GPUs and power, each change of it once, and no more than the books have room for.

    Of a node that changes its mind more often the least counts, class by class, until there is room again: what rises
    does not count, and what falls does. One whose GPUs fall as often again has none that count. So nobody hides a sale
    of more GPUs than there are among rows that nobody keeps, and there are at most ``2 * MOST_CHANGES`` rows of a
    node's GPUs in ``WINDOW_S``.
    """

    def __init__(self) -> None:
        """Nothing was told."""
        self._last: dict[str, Heard] = {}
        """Node → what counts of it."""
        self._changes: dict[str, deque[int]] = {}
        """Node → when what counts of it changed in ``WINDOW_S``, in milliseconds since the Unix epoch."""

    def heard(self, node: Manifest, now_ms: int) -> Heard | None:
        """Return what is to be kept of what a node says now; None: nothing new."""
        name = node["metadata"]["name"]
        before = self._last.get(name)
        # Two in one millisecond are two, also where the clock went back.
        at_ms = now_ms if before is None else max(now_ms, int(before.phase) + 1)
        said = declared_by(node, at_ms)
        if before is not None and said.body != before.body:
            said = self._bounded(name, before, said)
        if before is not None and said.body == before.body:
            return None
        self._last[name] = said
        return said

    def _bounded(self, name: str, before: Heard, said: Heard) -> Heard:
        """Return what counts of a change."""
        now, was = said.body["gpus"], before.body["gpus"]
        if now == was:
            return said
        at_ms = int(said.phase)
        changes = self._changes.setdefault(name, deque())
        while changes and changes[0] <= at_ms - WINDOW_S * 1000:
            changes.popleft()
        if len(changes) >= MOST_CHANGES:
            now = {kind: min(told, now[kind]) for kind, told in was.items() if kind in now}
            if now != was and len(changes) >= 2 * (MOST_CHANGES - 1):
                now = {}
        if now != was:
            changes.append(at_ms)
        return said._replace(body={**said.body, "gpus": now})


def _rows(status: object, name: str) -> list[Mapping[str, Any]]:
    """Return the rows of a list that a member may write; what is none holds up no other member."""
    found = status.get(name) if isinstance(status, Mapping) else None
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def _stock(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    for row in rows:
        name, total = row.get("gpuClass"), row.get("total")
        if isinstance(name, str) and isinstance(total, int):
            yield name, total


def _carbon(said: object) -> dict[str, Any] | None:
    try:
        return CarbonDeclaration.model_validate(said).model_dump(by_alias=True, mode="json")
    except ValidationError:
        return None


def stock_of(connection: Connection, node: str) -> list[tuple[int, dict[str, int]]]:
    """Return (since when, class → GPUs) as a node has told it, the oldest first; empty: it has told of none."""
    rows = connection.execute(_STOCK, {"subject": f"{schema.OF_NODE}{node}"})
    told = sorted((int(phase), body) for phase, body in rows)
    stock = [(at_ms // 1000, json.loads(body)["gpus"]) for at_ms, body in told]
    return stock if any(gpus for _, gpus in stock) else []


def ending_of(said: Mapping[str, Mapping[str, Any]]) -> Ending | None:
    """Return how a run ended, by its words; None: nobody has heard of it."""
    ended = said.get(ENDED)
    if ended is None:
        return None
    digest = said.get(LEFT, {}).get("digest", "")
    # The later of two clocks: a ledger whose own is behind would call an honest last receipt too late.
    told_s = max(-(-ended[TOLD_MS] // 1000), ended.get("hubS", 0))
    return Ending(ended["reason"], digest, ended["held"], ended["cancelled"], told_s)


def words_of(connection: Connection, runs: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return run → phase → body, of those runs of which anything was heard."""
    names = sorted({f"{schema.OF_RUN}{run}" for run in runs})
    found: dict[str, dict[str, Any]] = {}
    for first in range(0, len(names), A_READ):
        asked = {"subjects": names[first : first + A_READ]}
        for subject, phase, body, at_ms in connection.execute(_WORDS, asked):
            said = {**json.loads(body), TOLD_MS: at_ms}
            found.setdefault(subject.removeprefix(schema.OF_RUN), {})[phase] = said
    return found
