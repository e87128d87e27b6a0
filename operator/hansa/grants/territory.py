"""The member's own evaluation of residency, by plain sets.

The hub's planner compiles the same rules to bitsets. This is the second, independent
implementation: a mistake in one is caught by the other, and a hub that lies is caught here. It is
stricter in one point: what this agent cannot interpret is denied, whichever list it stands in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hansa.api.places import BLOCS, OVERLAY_PREFIX, country_of, is_jurisdiction, is_known
from hansa.api.residency import Overlay, PlaceRule


class Territory:
    """The places a grant can speak of: the known world, and the overlays its signed body defines."""

    def __init__(self, overlays: Iterable[Overlay] = ()) -> None:
        """``overlays``: as signed; a name defined twice is the union of both."""
        self._overlays: Mapping[str, tuple[str, ...]] = {}
        named: dict[str, tuple[str, ...]] = {}
        for overlay in overlays:
            named[overlay.name] = named.get(overlay.name, ()) + overlay.places
        self._overlays = named

    def unknown(self, places: Iterable[str]) -> list[str]:
        """Return the places that mean nothing here: misspelt, or overlays nobody defined."""
        return [place for place in places if not self._is_known(place, frozenset())]

    def contains(self, place: str, jurisdiction: str) -> bool:
        """Tell whether ``jurisdiction`` lies inside ``place``."""
        return any(_within(atom, jurisdiction) for atom in self._atoms(place, frozenset()))

    def objection(self, rule: PlaceRule, jurisdiction: str) -> str:
        """Return why ``rule`` keeps ``jurisdiction`` out, or nothing when it lets it in."""
        unknown = self.unknown((*rule.allow, *rule.deny))
        if unknown:
            return f"{', '.join(unknown)} is not known here, so it counts as denied"
        if not is_jurisdiction(jurisdiction):
            return f"{jurisdiction} is not an ISO 3166 code that exists"
        denied = [place for place in rule.deny if self.contains(place, jurisdiction)]
        if denied:
            return f"{jurisdiction} is denied by {', '.join(denied)}"
        if any(self.contains(place, jurisdiction) for place in rule.allow):
            return ""
        return f"{jurisdiction} is outside {', '.join(rule.allow)}"

    def _is_known(self, place: str, seen: frozenset[str]) -> bool:
        if not place.startswith(OVERLAY_PREFIX):
            return is_known(place)
        members = self._overlays.get(place.removeprefix(OVERLAY_PREFIX))
        if members is None or place in seen:
            return False
        return all(self._is_known(member, seen | {place}) for member in members)

    def _atoms(self, place: str, seen: frozenset[str]) -> set[str]:
        if place in seen:
            return set()
        if not place.startswith(OVERLAY_PREFIX):
            return {place}
        members = self._overlays.get(place.removeprefix(OVERLAY_PREFIX), ())
        return {atom for member in members for atom in self._atoms(member, seen | {place})}


def _within(place: str, jurisdiction: str) -> bool:
    country = country_of(jurisdiction)
    return place in {jurisdiction, country} or country in BLOCS.get(place, frozenset())
