"""Residency rules as manifests state them: both halves, and ``World`` written out."""

from __future__ import annotations

from collections.abc import Sequence

WORLD = {"allow": ["World"]}
EVERYWHERE = {"location": WORLD, "legalControl": WORLD}


def stands_in(*allow: str, deny: Sequence[str] = ()) -> dict[str, dict[str, list[str]]]:
    """Return a rule about where machines stand; whose law reaches them is not asked."""
    denied = {"deny": list(deny)} if deny else {}
    return {"location": {"allow": list(allow), **denied}, "legalControl": WORLD}


def under_law_of(*allow: str) -> dict[str, dict[str, list[str]]]:
    """Return a rule about whose law reaches the operator; machines may stand anywhere."""
    return {"location": WORLD, "legalControl": {"allow": list(allow)}}
