"""The member's own evaluation of residency, by plain sets.

The hub's planner compiles the same rules to bitsets. This is the second, independent
implementation: a mistake in one is caught by the other, and a hub that lies is caught here. It is
stricter in one point: what this agent cannot interpret is denied, whichever list it stands in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.api.places import BLOCS, OVERLAY_PREFIX, country_of, is_jurisdiction, is_known
from hansa.api.residency import Overlay, PlaceRule, Residency
from hansa.api.workgrant import WorkGrantSpec

MOST_PLACES = 64
"""As ``PlaceRule`` has it."""


class Territory:
    """The places that rules can speak of: the known world, and overlays by name.

    Work is bounded by the size of the overlays, however they name each other.
    """

    def __init__(self, overlays: Iterable[Overlay] = ()) -> None:
        """``overlays``: a name defined twice is the union of both."""
        named: dict[str, tuple[str, ...]] = {}
        for overlay in overlays:
            named[overlay.name] = named.get(overlay.name, ()) + overlay.places
        self._overlays = named
        self._stands_for: dict[str, frozenset[str] | None] = {}

    def unknown(self, places: Iterable[str]) -> list[str]:
        """Return the places that mean nothing here: misspelt, or overlays nobody defined."""
        return [place for place in places if self._atoms(place) is None]

    def contains(self, place: str, jurisdiction: str) -> bool:
        """Tell whether ``jurisdiction`` lies inside ``place``."""
        return any(_within(atom, jurisdiction) for atom in self._atoms(place) or ())

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

    def expanded(self, rule: PlaceRule) -> PlaceRule:
        """Return a rule without overlays that means the same; what means nothing stays as it is.

        A rule that would get longer than the API lets it be stays as it is, too.
        """
        allow, deny = self._spelt_out(rule.allow), self._spelt_out(rule.deny)
        if max(len(allow), len(deny)) > MOST_PLACES:
            return rule
        return rule.model_copy(update={"allow": allow, "deny": deny})

    def _spelt_out(self, places: Iterable[str]) -> tuple[str, ...]:
        atoms = ((place, self._atoms(place)) for place in places)
        spelt = (found if found is not None else {place} for place, found in atoms)
        return tuple(dict.fromkeys(one for some in spelt for one in sorted(some)))

    def _atoms(self, place: str) -> frozenset[str] | None:
        """Return the places without overlays that ``place`` stands for; None when it means nothing.

        An overlay means nothing when anything it names does, or when it names itself.
        """
        if not place.startswith(OVERLAY_PREFIX):
            return frozenset((place,)) if is_known(place) else None
        if place not in self._stands_for:
            self._stands_for[place] = None  # what names itself meets this
            members = self._overlays.get(place.removeprefix(OVERLAY_PREFIX), ())
            atoms = [self._atoms(member) for member in members]
            clear = [found for found in atoms if found is not None]
            if members and len(clear) == len(atoms):
                self._stands_for[place] = frozenset().union(*clear)
        return self._stands_for[place]


@dataclass(frozen=True, slots=True)
class ResidencyOf:
    """A residency rule, whose it is, and what overlays mean in it."""

    whose: str
    residency: Residency
    territory: Territory


def residency_rules(grant: WorkGrantSpec, policy: MemberPolicySpec) -> list[ResidencyOf]:
    """Return every residency rule that binds a grant here: the job's, and each data set's.

    The job's rule means what its pool says. A holder's rule knows the overlays of its own policy
    only: no hub can widen them.
    """
    ours, theirs = Territory(policy.overlays), Territory(grant.overlays)
    rules = [ResidencyOf("the job", grant.job_spec.residency, theirs)]
    wanted = {source.name for source in grant.job_spec.data}
    held = (dataset for dataset in policy.datasets if dataset.name in wanted)
    return rules + [ResidencyOf(f"data set {d.name}", d.residency, ours) for d in held]


def _within(place: str, jurisdiction: str) -> bool:
    country = country_of(jurisdiction)
    return place in {jurisdiction, country} or country in BLOCS.get(place, frozenset())
