"""The league's nodes as verification sees them: who they are, and what they said."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from pydantic import ValidationError

from hansa.api.computepool import ComputePoolSpec, Verification
from hansa.api.sovereignnode import KeyCommitment, KeyReveal, SovereignNodeSpec
from hansa.grants.envelope import key_id
from hansa.ledger.audits import book as b
from hansa.ports import Manifest
from hansa.verification.auditors import Candidate
from hansa.verification.levels import DAY_S, Level
from hansa.verification.probability import Sampling
from hansa.verification.tickets import Commitment

log = logging.getLogger(__name__)
Said = TypeVar("Said", KeyCommitment, KeyReveal)


@dataclass(frozen=True, slots=True)
class LeagueNode:
    """A node that the league accepts and whose key is pinned."""

    name: str
    uid: str
    key: str
    """Id of its release key."""
    institution: str
    owner_group: str
    jurisdiction: str
    bound: Level
    """The most that it counts for."""
    status: Mapping[str, Any]
    """As its agent, the hub and the ledger wrote it; not checked."""

    def candidate(self, level: Level) -> Candidate:
        """Return it as one that may audit."""
        return Candidate(self.name, self.institution, self.owner_group, self.jurisdiction, level)

    @property
    def audits(self) -> Mapping[str, Any]:
        """Its part in the draw, as it stands there."""
        found = self.status.get("audits")
        return found if isinstance(found, Mapping) else {}

    @property
    def commitment(self) -> KeyCommitment | None:
        """What it commits to, if that can be read."""
        return _read(KeyCommitment, self.audits.get("commitment"))

    @property
    def reveal(self) -> KeyReveal | None:
        """What it reveals, if that can be read."""
        return _read(KeyReveal, self.audits.get("reveal"))


WHOLE = Sampling(floor=Fraction(1))


@dataclass(frozen=True, slots=True)
class AuditRules:
    """What a pool says of audits. Of one that is not there, or cannot be read: everything is looked at."""

    sampling: Sampling = WHOLE
    within_s: int = Verification().audit_days * DAY_S
    """How long one may take, beside the runs that it is made of."""


@dataclass(frozen=True, slots=True)
class League:
    """What a draw goes by, as it is now."""

    nodes: Mapping[str, LeagueNode]
    levels: Mapping[str, Level]
    """Node → what it has shown."""
    rules: Mapping[str, AuditRules]
    """By pool."""
    granted: frozenset[str] = frozenset()
    """Runs whose grants are on the hub."""

    def level(self, node: str) -> Level:
        """Return what a node has shown."""
        return self.levels.get(node, Level.DECLARED)


def league_nodes(things: Iterable[Manifest]) -> Iterator[LeagueNode]:
    """Yield the nodes that can be read, accepted ones with a key."""
    for thing in things:
        meta = thing["metadata"]
        try:
            spec = SovereignNodeSpec.model_validate(thing.get("spec") or {})
        except ValidationError:
            continue
        if spec.accepted != "Accepted" or spec.release_key is None:
            continue
        yield LeagueNode(
            name=meta["name"],
            uid=meta["uid"],
            key=key_id(base64.b64decode(spec.release_key)),
            institution=spec.institution,
            owner_group=spec.operator or spec.institution,
            jurisdiction=spec.jurisdiction,
            bound=Level(int(spec.assurance[1:])),
            status=thing.get("status") or {},
        )


def audit_rules(pools: Iterable[Manifest]) -> dict[str, AuditRules]:
    """Return what pools say of audits."""
    found: dict[str, AuditRules] = {}
    for thing in pools:
        name = thing["metadata"]["name"]
        try:
            spec = ComputePoolSpec.model_validate(thing.get("spec") or {})
        except ValidationError as error:
            log.warning("pool not readable", extra={"pool": name, "error": str(error)[:300]})
            found[name] = AuditRules()
        else:
            said = spec.verification
            sampling = Sampling(floor=Fraction(said.floor_percent, 100))
            found[name] = AuditRules(sampling, said.audit_days * DAY_S)
    return found


def _read(kind: type[Said], said: object) -> Said | None:
    try:
        return None if said is None else kind.model_validate(said)
    except ValidationError:
        return None


def by_node(said: Mapping[str, b.Body], phase: str) -> dict[str, b.Body]:
    """Return node key → what it said, by the words of an epoch. ``phase``: what the words begin with."""
    return {name.removeprefix(phase): body for name, body in said.items() if name.startswith(phase)}


def reveals(said: Mapping[str, b.Body], root: str) -> dict[str, bytes]:
    """Return node key → key it revealed for this very root."""
    return {
        node: key
        for node, body in by_node(said, b.REVEALED).items()
        if body["root"] == root and (key := _decoded(body["key"])) is not None
    }


def commitments(said: Mapping[str, b.Body], recorded_ms: Mapping[str, int]) -> list[Commitment]:
    """Return who committed to the keys of an epoch. ``recorded_ms``: phase → when it was said."""
    return [
        Commitment(
            node,
            body["institution"],
            bytes.fromhex(body["digest"].removeprefix("sha256:")),
            recorded_ms[b.COMMITTED + node] // 1000,
        )
        for node, body in by_node(said, b.COMMITTED).items()
    ]


def _decoded(text: Any) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
