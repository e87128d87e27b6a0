"""Which places a rule permits, as bitsets: the one function that decides where data may go.

A country is one bit, a known region another; a place is the OR of all bits inside it. Deny wins:
a rule's bits are ``allow AND NOT deny``; several rules (the job's own, each data source's, the
pool's ceiling) are ANDed. A site passes when its location bit and *every* bit of the law that
reaches its operator are inside. It filters and never scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from hansa.api import places
from hansa.model.reasons import Reason
from hansa.model.snapshot import PlaceSet, ResidencyRule, Site

Overlays = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a rule means nothing: nobody may be placed under it."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Law:
    """Rules compiled for one job: bits that location and legal control must lie in."""

    location: int
    control: int

    def objection(self, location: int, control: int) -> Reason | None:
        """Why a site with these bits is not permitted; None when it is.

        Bits of 0 mean that the place is unknown or undeclared: never permitted.
        """
        if not location or not control:
            return Reason.JURISDICTION_DISPUTED
        if location & ~self.location:
            return Reason.RESIDENCY_DENIED
        if control & ~self.control:
            return Reason.LEGAL_CONTROL_DENIED
        return None


def joined(laws: Iterable[Law | Fault]) -> Law | Fault:
    """All laws as one; the first fault, if there is one."""
    location, control = -1, -1
    for law in laws:
        if isinstance(law, Fault):
            return law
        location &= law.location
        control &= law.control
    return Law(location, control)


class Atlas:
    """Places as bits. Regions have to be known in advance: their country contains their bits."""

    def __init__(self, regions: Iterable[str] = ()) -> None:
        """``regions``: every ISO 3166-2 code that a site stands in or is reached by."""
        leaves = sorted(places.COUNTRIES) + sorted({r for r in regions if "-" in r})
        self._leaf = {
            leaf: 1 << at for at, leaf in enumerate(leaves) if places.is_jurisdiction(leaf)
        }
        self._within: dict[str, int] = dict.fromkeys(places.BLOCS, 0)
        for leaf, bit in self._leaf.items():
            for place in _lineage(leaf):
                self._within[place] = self._within.get(place, 0) | bit

    def bit(self, jurisdiction: str) -> int:
        """The bit of where something is; 0 when there is no such place."""
        return self._leaf.get(jurisdiction, 0)

    def bits_of_site(self, site: Site) -> tuple[int, int]:
        """Location and legal control of a site; 0 where undeclared or in part unknown."""
        laws = [self.bit(law) for law in site.legal_control]
        return self.bit(site.jurisdiction), 0 if 0 in laws else _union(laws)

    def compile(self, rules: Iterable[ResidencyRule], overlays: Overlays) -> Law | Fault:
        """AND the rules into one law, or say what in them nobody can interpret."""
        location = control = self._within[places.WORLD]
        for rule in rules:
            for kind in (rule.location, rule.legal_control):
                fault = self._fault(kind.allow | kind.deny, overlays)
                if fault is not None:
                    return fault
            location &= self._permitted(rule.location, overlays)
            control &= self._permitted(rule.legal_control, overlays)
        return Law(location, control)

    def _permitted(self, rule: PlaceSet, overlays: Overlays) -> int:
        return self._bits(rule.allow, overlays) & ~self._bits(rule.deny, overlays)

    def _bits(self, names: Iterable[str], overlays: Overlays) -> int:
        return _union(self._within.get(name, 0) for name in _expanded(names, overlays))

    def _fault(self, names: frozenset[str], overlays: Overlays) -> Fault | None:
        for name in sorted(names):
            fault = _misnamed(name, overlays, ())
            if fault is not None:
                return fault
        return None


_lineage = lru_cache(maxsize=4096)(places.lineage)


def _union(bits: Iterable[int]) -> int:
    union = 0
    for bit in bits:
        union |= bit
    return union


def _expanded(names: Iterable[str], overlays: Overlays) -> Iterable[str]:
    for name in names:
        if name.startswith(places.OVERLAY_PREFIX):
            yield from _expanded(overlays[name.removeprefix(places.OVERLAY_PREFIX)], overlays)
        else:
            yield name


def _misnamed(name: str, overlays: Overlays, inside: tuple[str, ...]) -> Fault | None:
    """The first place under ``name`` that is unknown, or an overlay that contains itself."""
    members = overlays.get(name.removeprefix(places.OVERLAY_PREFIX))
    if not name.startswith(places.OVERLAY_PREFIX):
        members = frozenset() if places.is_known(name) else None
    if members is None:
        return _unknown(name, overlays, inside)
    if name in inside:
        chain = " → ".join((*inside, name))
        return Fault(Reason.POOL_MISCONFIGURED, f"{name} is defined through itself: {chain}")
    faults = (_misnamed(member, overlays, (*inside, name)) for member in sorted(members))
    return next((fault for fault in faults if fault is not None), None)


def _unknown(name: str, overlays: Overlays, inside: tuple[str, ...]) -> Fault:
    """A place that does not exist; ``inside`` overlays, which are the pool's, it is the pool's fault."""
    also = frozenset(places.OVERLAY_PREFIX + overlay for overlay in overlays)
    words = places.unknown(name, also)
    if inside:
        return Fault(Reason.POOL_MISCONFIGURED, f"{inside[-1]} names {name}, and {words}")
    return Fault(Reason.UNKNOWN_JURISDICTION, words)
