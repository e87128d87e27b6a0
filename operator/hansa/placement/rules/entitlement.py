"""What institutions are entitled to, and what work has to yield for it: the rules of fairness.

Whatever takes accounts, numbers or flags takes one or a column of them alike. The kernel is below and
compiled: its forms of the nominal share, for one account, are ``tier_of``, ``nominal_used`` and
``share_of`` in ``quota``, and nothing else there reads it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.model.snapshot import PreemptionRule
from hansa.placement.kernel import quota
from hansa.placement.kernel.tables import Accounts
from hansa.placement.rules.fleet import Ints

Flags = npt.NDArray[np.bool_]
Number = Any
"""An integer, or a column of them."""
Flag = Any
"""A truth value, or a column of them."""
NOBODY = -1
"""The account of work whose institution has none: it is entitled to nothing."""


def tier(accounts: Accounts, account: int, gpus: int) -> int:
    """0 for work that stays within its institution's nominal share, 1 for work that borrows."""
    return quota.tier_of(accounts, account, gpus)


def is_within_nominal(accounts: Accounts, account: Number, gpus: Ints) -> Flags:
    """Which work stays within its institution's nominal share: the tier of many at once."""
    return np.asarray(accounts.gpus[account] + gpus <= accounts.nominal[account])


def excess(accounts: Accounts, account: int) -> int:
    """GPUs held above the nominal share; below zero what is left of it."""
    return 1 if account == NOBODY else int(accounts.gpus[account] - accounts.nominal[account])


def excesses(accounts: Accounts) -> Ints:
    """The same of all accounts; the last is nobody's."""
    return np.append(accounts.gpus - accounts.nominal, 1)


def nominal_left(accounts: Accounts) -> Ints:
    """Per account, GPUs up to its nominal share."""
    return np.asarray(np.maximum(accounts.nominal - accounts.gpus, 0))


def may_be_stopped(rule: PreemptionRule, over: Number) -> Flag:
    """Whether a pool lets work yield to anybody at all. ``over``: its institution's excess."""
    return rule.lower_priority | (rule.borrowers & (over > 0))


def yields_to_rank(
    rule: PreemptionRule, priority: int, other: Number, *, is_own: Flag, stays: Flag
) -> Flag:
    """Whether work of priority ``other`` yields to a job of higher priority.

    ``is_own``: it is of the job's institution. ``stays``: its institution keeps its nominal share
    without it.
    """
    return rule.lower_priority & (other < priority) & (is_own | stays)


def yields_to_owner(rule: PreemptionRule, over: Number, *, is_own: Flag, is_entitled: Flag) -> Flag:
    """Whether borrowed GPUs go back to a job that is entitled to them.

    ``over``: excess of the institution that would yield. ``is_entitled``: the job stays within its
    own institution's nominal share.
    """
    return rule.borrowers & (over > 0) & np.logical_not(is_own) & is_entitled


def reclaims(rule: PreemptionRule, *, is_entitled: bool) -> bool:
    """Whether a job takes back what borrowers hold; then it may also use room that is held."""
    return rule.borrowers and is_entitled
