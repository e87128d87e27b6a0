"""Which pools a hub leads, and which nodes are its own: for a league that is too large for one leader.

A pool hub leads the pools that its setting names. The main hub leads every other pool, and whatever
belongs to no pool: jobs that name none, nodes in none. A division does not change while a hub runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from hansa.model.reasons import Reason
from hansa.model.snapshot import Pool, Site
from hansa.placement.rules.membership import is_member

MAIN: frozenset[str] = frozenset()
"""Stands for the main hub where others are told by their pools."""


class Part(Enum):
    """Whose a node is, as one hub sees it."""

    OWN = "own"
    """This hub gives it its rights, writes its status and places work there."""
    SHARED = "shared"
    """It is in pools of two leaders: no work is placed there, and the main hub writes its status."""
    OTHERS = "others"
    """Another hub's: this one leaves it alone."""


@dataclass(frozen=True, slots=True)
class Division:
    """How a league's pools are divided, as one hub knows it. By default it leads them all."""

    own: frozenset[str] = MAIN
    """The pools that a pool hub leads; empty: this is the main hub."""
    claims: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """To the main hub: pool that is claimed by another → all pools of that leader."""

    @property
    def is_main(self) -> bool:
        """Whether this hub leads what nobody else has claimed."""
        return not self.own

    @property
    def is_whole(self) -> bool:
        """Whether this hub leads everything there is."""
        return self.is_main and not self.claims

    def leads(self, pool: str) -> bool:
        """Tell whether this hub leads a pool of that name, whether or not there is one."""
        return pool not in self.claims if self.is_main else pool in self.own

    def part(self, pools: Iterable[str]) -> Part:
        """Tell whose a node is that belongs to these pools."""
        leaders = {self._leader(pool) for pool in pools} or {MAIN}
        if len(leaders) > 1:
            return Part.SHARED
        return Part.OWN if leaders == {self.own} else Part.OTHERS

    def _leader(self, pool: str) -> frozenset[str]:
        if self.is_main:
            return self.claims.get(pool, MAIN)
        return self.own if pool in self.own else MAIN

    def keeps(self, part: Part) -> bool:
        """Tell whether this hub gives a node of that part its rights, and writes its status."""
        return part is Part.OWN or (part is Part.SHARED and self.is_main)


WHOLE = Division()
"""A league with one leader."""


def pools_of(site: Site, pools: Iterable[Pool]) -> frozenset[str]:
    """Return the names of the pools that a site belongs to."""
    return frozenset(pool.name for pool in pools if is_member(site, pool))


def shared(site: Site, pools: Iterable[str]) -> Site:
    """Return a site that is in pools of two leaders: it takes no work, and says why and the way out."""
    reason = Reason.NODE_OF_TWO_LEADERS
    if site.unavailable is not None and site.unavailable.gravity < reason.gravity:
        return site
    text = f"it is in the pools {', '.join(sorted(pools))}, which two leaders lead"
    text += "; change spec.nodes of one of them, so that the node has one leader"
    return replace(site, unavailable=reason, unavailable_message=text)
