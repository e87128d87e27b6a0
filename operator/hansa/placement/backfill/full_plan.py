"""What a full plan gives out before anybody has to yield: promised room first, then the rest beside held room.

The plan does it with the books as they are, the rehearsal with the books as they will be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hansa.placement.backfill import promises, reservations
from hansa.placement.kernel import run
from hansa.placement.kernel.tables import Decided, State
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.decision import Start
from hansa.placement.state.kernel_io.kernel_input import all_waiting
from hansa.placement.state.kernel_io.kernel_output import gpus_of, starts_of
from hansa.placement.state.league import League


@dataclass(frozen=True, slots=True)
class Given:
    """Who starts, and the books with them."""

    draft: League
    """The league with all of them, and with what was held meanwhile."""
    promised: promises.Promised
    """Where room is still being made for others."""
    served: promises.Served
    state: State
    ranked: Ints
    """Rows of those who were not served first, in their order."""
    decided: Decided
    """About these."""

    @property
    def others(self) -> Ints:
        """Rows of those who start without a promise."""
        return self.ranked[self.decided.placed.job]

    @property
    def begun(self) -> Ints:
        """Rows of all who start; ``cells`` and ``gpus`` are in their order."""
        return np.concatenate((self.served.begun, self.others))

    @property
    def cells(self) -> Ints:
        """Where."""
        return np.concatenate((self.served.cells, self.decided.placed.cell))

    @property
    def gpus(self) -> Ints:
        """With how many GPUs."""
        return np.concatenate((self.served.gpus, gpus_of(self.draft, self.decided, self.others)))

    @property
    def starts(self) -> tuple[Start, ...]:
        """The same for people and books, with the machines."""
        return (*self.served.starts, *starts_of(self.draft, self.decided, self.others))


def give_out(league: League, rows: Ints, *, is_compiled: bool) -> Given:
    """Keep promises, hold room for the largest blocked gangs, give out the rest by share, rank and price.

    ``rows``: those that wait.
    """
    made = promises.made(league)
    served = promises.serve(league, made.standing, is_compiled=is_compiled)
    left = rows[~np.isin(rows, served.begun)]
    held = reservations.for_gangs(served.draft, left, made.pending)
    draft = served.draft.draft(promises.shut(served.draft, held, made.pending))
    state, ranked = all_waiting(draft, left)
    decided = run.run(state, is_priced=draft.tariff.is_priced, is_compiled=is_compiled)
    return Given(draft, made.pending, served, state, ranked, decided)
