"""How long a run may go on, and the rules that end one: one place, asked by agent and guard alike.

The terms stand as annotations on the run's own namespace, so that they are there when the grant, the
agent's memory or the hub is not. A term that cannot be read is the strictest there is.

``alive_until_s`` is the dead-man's switch: a file in the run's pods says until when they may live. It
goes stale where nobody renews it, on a machine cut off from its control plane too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hansa.api.aijob import Disconnection
from hansa.api.meta import GROUP
from hansa.model.times import from_rfc3339, rfc3339
from hansa.reconcile.fencing import LEAST_UNATTENDED_S

GRANTED_ANNOTATION = f"{GROUP}/granted-at"
UNATTENDED_ANNOTATION = f"{GROUP}/unattended-limit-seconds"
RUNTIME_ANNOTATION = f"{GROUP}/max-runtime-seconds"
START_ANNOTATION = f"{GROUP}/start-limit-seconds"

RUNTIME_LEEWAY_S = 60
"""The agent ends a run that had its time and tells how; so much later it is ended whoever was told."""
START_LIMIT_S, LONGEST_START_LIMIT_S = 900, 7200
"""From the run's making until all its workers and its command have to be up, unless it is set."""
STOP_MARGIN_S = 15
"""Unattended runs are stopped so long before their contract ends: pods take time to go."""
ALIVE_MARGIN_S = 15
"""Pods take longer to notice a stale file than an API server to delete them: so much sooner it ends."""
DYING_S = 120
"""From a file that has gone stale to the end of the last process, with the clocks of machines apart as they may be."""
STRICTEST_UNATTENDED_S = 45
"""What a contract that says Stop comes to."""
LONGEST_S = 2_592_000
"""No job may ask for more, of either time."""
MOST_DIGITS = 8
GRANTED_AHEAD_S = 60
"""A run is made after its grant; by so much the clocks of those who say when may differ."""
STEP_SHARE, LEAST_STEP_S, LONGEST_STEP_S = 4, 15, 300
"""A file is renewed when it would gain a fourth of its validity, within these bounds in seconds."""


@dataclass(frozen=True, slots=True)
class Contract:
    """The terms of one run."""

    unattended_limit_s: float
    """Without the hub for so long, the member ends it."""
    max_runtime_s: float
    granted_s: float
    """Seconds since the Unix epoch; time without the hub counts from here at the earliest."""
    start_limit_s: float = START_LIMIT_S
    """From the run's making until all its workers and its command have to be up."""

    @property
    def validity_s(self) -> float:
        """How long after the last contact the pods may live if nobody tells them anything."""
        return max(self.unattended_limit_s, LEAST_UNATTENDED_S - STOP_MARGIN_S) - ALIVE_MARGIN_S

    @property
    def step_s(self) -> float:
        """By how much a renewal has to lengthen the file's validity to be worth a write."""
        return min(max(self.validity_s / STEP_SHARE, LEAST_STEP_S), LONGEST_STEP_S)


STRICTEST = Contract(STRICTEST_UNATTENDED_S, 0, 0.0)


def unattended_limit_s(terms: Disconnection, *, disconnect_s: float, stop_margin_s: float) -> float:
    """Return after how long without the hub a job's contract has the member stop it."""
    longest = max(terms.max_unattended_seconds - stop_margin_s, 0)
    return min(longest, disconnect_s) if terms.policy == "Stop" else longest


def terms(contract: Contract) -> dict[str, str]:
    """Return the terms as the run's namespace carries them."""
    return {
        GRANTED_ANNOTATION: rfc3339(contract.granted_s),
        UNATTENDED_ANNOTATION: f"{contract.unattended_limit_s:.0f}",
        RUNTIME_ANNOTATION: f"{contract.max_runtime_s:.0f}",
        START_ANNOTATION: f"{contract.start_limit_s:.0f}",
    }


def read_contract(found: object, made_s: float) -> Contract:
    """Return the terms in a namespace's annotations; what cannot be is at its strictest.

    ``made_s``: when the namespace was made, by the API server, which nobody can write.
    """
    held: Mapping[object, object] = found if isinstance(found, Mapping) else {}
    granted_s = from_rfc3339(held.get(GRANTED_ANNOTATION))
    if granted_s is None or granted_s > made_s + GRANTED_AHEAD_S:
        granted_s = STRICTEST.granted_s
    return Contract(
        _seconds(held.get(UNATTENDED_ANNOTATION), STRICTEST.unattended_limit_s, LONGEST_S),
        _seconds(held.get(RUNTIME_ANNOTATION), STRICTEST.max_runtime_s, LONGEST_S),
        granted_s,
        _seconds(held.get(START_ANNOTATION), STRICTEST.start_limit_s, LONGEST_START_LIMIT_S),
    )


def _seconds(text: object, strictest: float, longest: float) -> float:
    # isascii: int() also reads digits of other scripts, and a float could say "inf".
    if not isinstance(text, str) or not text.isascii() or not text.isdigit():
        return strictest
    return float(text) if len(text) <= MOST_DIGITS and float(text) <= longest else strictest


def unattended_s(contract: Contract, contact_age_s: float, now_s: float) -> float:
    """Return how long the run has been without the hub: a grant is a word of the hub as well."""
    return min(contact_age_s, now_s - contract.granted_s)


def is_unattended(contract: Contract, alone_s: float) -> bool:
    """Tell whether the time without the hub is over."""
    return alone_s >= contract.unattended_limit_s


def had_its_time(contract: Contract, running_s: float | None, now_s: float) -> bool:
    """Tell whether a run has run for as long as it may. ``running_s``: since when; None: it does not."""
    return running_s is not None and now_s - running_s > contract.max_runtime_s


def is_overdue(contract: Contract, running_s: float | None, now_s: float) -> bool:
    """Tell whether a run that had its time goes on for too long."""
    return had_its_time(contract, running_s, now_s - RUNTIME_LEEWAY_S)


def never_started(contract: Contract, made_s: float, now_s: float) -> bool:
    """Tell whether a run that is not up yet has been waited for long enough."""
    return now_s - made_s > contract.start_limit_s


def never_came_back(contract: Contract, short_s: float) -> bool:
    """Tell whether pods that were replaced have been waited for long enough: for as long as those before them."""
    return short_s > contract.start_limit_s


def is_given_up(contract: Contract, made_s: float, now_s: float) -> bool:
    """Tell whether a run that never came up holds its room for too long."""
    return never_started(contract, made_s, now_s - RUNTIME_LEEWAY_S)


def may_be_late(contract: Contract, made_s: float, now_s: float) -> bool:
    """Tell whether a run is so old that it may be overdue or given up: younger ones need no look."""
    return now_s - made_s > min(contract.max_runtime_s, contract.start_limit_s) + RUNTIME_LEEWAY_S


def outlived(contract: Contract, made_s: float, now_s: float) -> bool:
    """Tell whether a run is too old whenever it began to run: for where that cannot be read."""
    return now_s - made_s > contract.start_limit_s + contract.max_runtime_s + RUNTIME_LEEWAY_S


def lives_no_more(held_up_s: float, *contracts: Contract) -> bool:
    """Tell whether no pod of a run can live whose file nobody has been able to renew for so long."""
    return held_up_s > held_up_limit_s(*contracts)


def held_up_limit_s(*contracts: Contract) -> float:
    """Return for how long a machine that does not answer keeps a run that has ended from its release.

    ``contracts``: all that its file may have been written by: the longest counts.
    """
    return max(contract.validity_s for contract in contracts) + DYING_S


def alive_until_s(contract: Contract, contact_s: float) -> float:
    """Return until when the pods may live, by what is known of the last contact."""
    return max(contact_s, contract.granted_s) + contract.validity_s
