"""The columns that the kernel reads and writes: flat, integer, without names or rules.

Lists when the kernel is interpreted, arrays of int64 when it is compiled.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Column = Any
"""A column of integers: a list when interpreted, an array of int64 when compiled."""
Outcome = npt.NDArray[np.int64]

RANK_BITS = 31
RANK_MASK = (1 << RANK_BITS) - 1
MAX_SHARE = 1 << 31
PPM = 1_000_000
HUGE = 1 << 60
UNLIMITED = -1
NOBODY = -1
ENTERED = -2
"""Steps of a transaction other than leaving a cell."""
CHARGED = -3
REFUNDED = -4
NOMINAL = 1_000_000
"""Worth of a GPU inside a nominal share, in the unit of ``Exchange``."""

WHY_CAPACITY = 1
WHY_QUOTA = 2
WHY_CAP = 4
WHY_RESERVED = 8


class Supply(NamedTuple):
    """What is free. Machines of a cell are contiguous, cells of a site too."""

    machine_gpus: Column
    machine_cpu: Column
    machine_memory: Column
    cell_lo: Column
    """First machine of the cell: the machines of one GPU class at one site, or all of the site."""
    cell_hi: Column
    site_lo: Column
    """First machine of the cell's site: heads may stand on any machine there."""
    site_hi: Column
    cell_free: Column
    """GPUs free and lent."""
    cell_open: Column
    reserved_key: Column
    """Order key of the blocked gang the cell is held for; HUGE: none."""
    reserved_until: Column
    """Seconds from now until that gang is expected to start."""
    reserved_spare: Column
    """GPUs that will be left over then."""
    reserved_closed: Column
    """1: the gang may have the cell as soon as borrowers leave, so that no more of them may come."""


class Kinds(NamedTuple):
    """Kinds of gang: what a job needs, and where it may go."""

    workers: Column
    extra: Column
    """Workers beyond ``workers`` that an elastic gang can use."""
    gpus: Column
    cpu: Column
    memory: Column
    heads: Column
    """Pods without GPUs, anywhere at the site."""
    head_cpu: Column
    head_memory: Column
    cap_base: Column
    """Row of its pool in ``Caps.row``."""
    mask: Column
    """Kinds of one mask differ in nothing that decides where they fit."""
    next: Column
    """Per mask: first candidate not yet ruled out."""
    seen: Column
    """Per mask, bits WHY_*: what candidates were ruled out by."""
    good: Column
    """End of the candidates that are worth their price."""
    end: Column
    candidates: Column
    why: Column
    """Bits WHY_*: what stood in the way of the kind itself."""


class Jobs(NamedTuple):
    """Waiting jobs, grouped in queues, best rank first inside a queue."""

    kind: Column
    rank: Column
    runtime: Column
    """Seconds it ends within, nine times in ten."""
    done: Column
    leaf: Column
    """Account it is charged to."""
    queue_lo: Column
    queue_hi: Column
    queue_at: Column
    """Where the queue stands."""
    order: Column


class Accounts(NamedTuple):
    """The tree of shares: super-root, pools, cohorts, institutions."""

    parent: Column
    depth: Column
    queue: Column
    """Queue of an institution; -1 for inner accounts."""
    quota: Column
    guaranteed: Column
    """Part of the quota that is not lent."""
    limit: Column
    """Most to borrow; UNLIMITED."""
    used: Column
    """GPUs counted against ``quota``: at inner accounts only what overflowed from below."""
    nominal: Column
    weight: Column
    past: Column
    """Past use, as parts per million of the pool."""
    gpus: Column
    cpu: Column
    memory: Column
    total_gpus: Column
    total_cpu: Column
    total_memory: Column
    heap_lo: Column
    heap_n: Column
    heap_key: Column
    heap_item: Column


class Caps(NamedTuple):
    """Concentration caps as residual counters."""

    row: Column
    """Three cap numbers (operator, vendor, jurisdiction) a cell, for each pool; -1: no cap."""
    left: Column


class Exchange(NamedTuple):
    """What is needed to weigh whether placed work should move."""

    lo: Column
    """Per mask: first candidate."""
    worth: Column
    """Per job: one GPU, in millionths of a plain one."""
    money: Column
    """Per cell: price of one GPU, in the same unit."""
    left: Column
    """One number: cells that may still be looked at."""
    made: Column
    """One number: exchanges made."""
    short: Column
    """Per mask from ``lo`` on: the candidates that have room for its gangs, as far as known."""
    short_end: Column
    """Per mask: their end."""
    stamp: Column
    """Per mask: ``risen`` when they were listed; -1: never."""
    risen: Column
    """One number: how often cells have got more room by an exchange."""
    loose: Column
    """One number: cells that have more room for the moment, by an exchange that is being tried."""
    first: Column
    """Per cell: the gang on top of those in it that may move; NOBODY. See ``Transaction.below``."""


class State(NamedTuple):
    """Everything one run reads and writes, but for what it decides."""

    supply: Supply
    kinds: Kinds
    jobs: Jobs
    accounts: Accounts
    caps: Caps
    exchange: Exchange


class Transaction(NamedTuple):
    """What has been decided, gang by gang in order, and the steps that can be taken back.

    Lists in both kernels. A gang's log is the pairs machine, pods from ``begin`` to ``end``; 0 pods is
    a head.
    """

    job: Column
    kind: Column
    cell: Column
    """NOBODY: it stands nowhere."""
    workers: Column
    gpus: Column
    """Those of all workers that it was placed with."""
    begin: Column
    end: Column
    below: Column
    """The next gang in the same cell: a linked list from ``Exchange.first``."""
    log: Column
    step_gang: Column
    """One row a step: whom it concerns."""
    step_from: Column
    """The cell that the gang left, or one of ENTERED, CHARGED, REFUNDED."""
    step_begin: Column
    """The log that it had there."""
    step_end: Column
    step_cost: Column
    """Set by who makes the step, in the unit of ``Exchange.money``."""


class Mark(NamedTuple):
    """Where a transaction stood, to go back to."""

    steps: int
    log: int


class Span(NamedTuple):
    """Entries of a log."""

    begin: int
    end: int


class Turn(NamedTuple):
    """The job whose turn it is."""

    job: int
    key: int
    """(below nominal first, rank): who is ahead of whom at a reservation."""
    runtime: int


class Placed(NamedTuple):
    """The gangs placed, in the order of decision."""

    job: Outcome
    """Number of the job in the run, or its row in the league."""
    cell: Outcome
    workers: Outcome
    end: Outcome
    """End of its pairs in the log; they begin where those of the one before end."""


class Decided(NamedTuple):
    """What a run returns, as arrays."""

    placed: Placed
    log: Outcome
    """Pairs machine, workers; 0 workers: a head."""
    growth: Outcome
    """Triples gang, machine, workers that elastic gangs got on top."""
