"""What each site says of a job: the rule that refuses it there, or the site's own state."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hansa.model.plan import Verdict
from hansa.model.reasons import Reason
from hansa.model.snapshot import Site
from hansa.placement.rules.eligibility import CODE, OUTSIDE, RULES
from hansa.placement.rules.fleet import Fleet, Ints
from hansa.placement.state.league import League

GRAVE = tuple(Reason)
"""By gravity."""
PASSES, NOT_OURS = Reason.PENDING.gravity, len(GRAVE)
BEST = 1 << 8
"""Above all codes of rules."""
_GRAVITY_OF = np.full(OUTSIDE + 1, NOT_OURS, np.int64)
_GRAVITY_OF[: len(RULES)] = [reason.gravity for reason in RULES]
"""By code of the rule."""


class Standing:
    """What is told of the sites of a fleet whoever asks: found once, for it is asked for every job."""

    def __init__(self, fleet: Fleet) -> None:
        """Look at every site."""
        self.fleet = fleet
        self.own = np.array([_own_state(site).gravity for site in fleet.sites], np.int64)
        """Per site: gravity of its own state; ``PASSES`` where it takes work."""
        self.stated = np.array([site.unavailable is not None for site in fleet.sites], bool)
        self.bare = np.array([not site.machines for site in fleet.sites], bool)
        """Per site: whether it has told of no machines."""
        self.highest = max((site.assurance for site in fleet.sites), default=0)
        """Assurance level that any site has."""
        self._said: dict[tuple[int, Reason], Verdict] = {}

    def gravity(self, codes: Ints) -> Ints:
        """Per site: of the reason that refuses a job which the rules judge by ``codes``.

        The site's own state comes last of all rules, but is told where it is graver. Of a site that has
        told of no machines, no rule about machines knows anything.
        """
        ruled = _GRAVITY_OF[codes]
        knows_nothing = self.bare & (codes == CODE[Reason.NO_ACCELERATOR])
        state = np.where(knows_nothing, self.own, np.minimum(self.own, ruled))
        is_refused = (codes != 0) & (codes != OUTSIDE)
        stated = np.where(self.stated & is_refused, state, ruled)
        return np.where(codes == 0, self.own, stated)

    def said(self, at: int, reason: Reason, words: Callable[[], str]) -> Verdict:
        """Return what a site alone decides; put into words the first time."""
        key = (at, reason)
        if key not in self._said:
            self._said[key] = Verdict(self.fleet.sites[at].name, reason, words())
        return self._said[key]


def site_codes(league: League, number: int) -> Ints:
    """Per site the first rule that refuses the kind at the site's best cell; see ``Rulebook``."""
    codes = league.kinds.codes_of(number).astype(np.int64)
    if not len(codes):
        return codes
    told = np.where(codes == 0, BEST, np.where(codes == OUTSIDE, -1, codes))
    nearest = np.maximum.reduceat(told, league.fleet.site_cell)
    law = league.rules.site_codes(league.kinds.kinds[number]).astype(np.int64)
    # A site without GPUs has no cell to judge; what its law says is graver than that.
    none = np.where(law == 0, CODE[Reason.NO_ACCELERATOR], law)
    return np.where(nearest == BEST, 0, np.where(nearest < 0, none, nearest))


def _own_state(site: Site) -> Reason:
    return site.unavailable or (Reason.NODE_CORDONED if site.draining else Reason.PENDING)
