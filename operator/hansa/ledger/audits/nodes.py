"""The league's nodes as verification sees them: who they are, and what they said."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from pydantic import ValidationError

from hansa.api.computepool import ComputePoolSpec
from hansa.api.sovereignnode import KeyCommitment, KeyReveal, SovereignNodeSpec
from hansa.grants.envelope import key_id
from hansa.ledger.audits import book as b
from hansa.ports import Manifest
from hansa.verification.auditors import Candidate
from hansa.verification.levels import Level
from hansa.verification.probability import Sampling

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


@dataclass(frozen=True, slots=True)
class League:
    """What a draw goes by, as it is now."""

    nodes: Mapping[str, LeagueNode]
    levels: Mapping[str, Level]
    """Node → what it has shown."""
    samplings: Mapping[str, Sampling]
    """Pool → its parameters."""
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


def samplings(pools: Iterable[Manifest]) -> dict[str, Sampling]:
    """Return pool → parameters of its draws. A pool that cannot be read is audited whole."""
    found: dict[str, Sampling] = {}
    for thing in pools:
        name = thing["metadata"]["name"]
        try:
            spec = ComputePoolSpec.model_validate(thing.get("spec") or {})
        except ValidationError as error:
            log.warning("pool not readable", extra={"pool": name, "error": str(error)[:300]})
            found[name] = Sampling(floor=Fraction(1))
        else:
            found[name] = Sampling(floor=Fraction(spec.verification.floor_percent, 100))
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


def _decoded(text: Any) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
