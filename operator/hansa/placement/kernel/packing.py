"""Gangs into machines: the tightest that fits, all workers and all heads, or nothing.

Part of the kernel: see ``loop`` for how it is written and why.
"""

from __future__ import annotations

from hansa.placement.kernel.tables import HUGE, NOBODY, Column, Kinds, Span, Supply

Pod = tuple[int, int, int, bool]
"""GPUs, CPU and memory of one pod, and whether it is a head, which may stand outside the cell."""
Pods = tuple[Pod, Pod]


def worker_of(kinds: Kinds, kind: int) -> Pod:
    """What one worker of a gang takes."""
    return kinds.gpus[kind], kinds.cpu[kind], kinds.memory[kind], False


def head_of(kinds: Kinds, kind: int) -> Pod:
    """What each head of a gang takes."""
    return 0, kinds.head_cpu[kind], kinds.head_memory[kind], True


def times(free: int, need: int) -> int:
    """How often ``need`` fits into ``free``."""
    return HUGE if need <= 0 else free // need


def fitting(supply: Supply, machine: int, gpus: int, cpu: int, memory: int) -> int:
    """Pods of a size that one machine can still take."""
    return min(
        times(supply.machine_gpus[machine], gpus),
        times(supply.machine_cpu[machine], cpu),
        times(supply.machine_memory[machine], memory),
    )


def has_slots(supply: Supply, kinds: Kinds, kind: int, cell: int) -> bool:
    """Whether all workers of a gang fit on the machines of a cell."""
    want, gpus = kinds.workers[kind], kinds.gpus[kind]
    cpu, memory = kinds.cpu[kind], kinds.memory[kind]
    if supply.cell_free[cell] < want * gpus:
        return False
    slots = 0
    for machine in range(supply.cell_lo[cell], supply.cell_hi[cell]):
        if supply.machine_gpus[machine] >= gpus:
            slots += fitting(supply, machine, gpus, cpu, memory)
            if slots >= want:
                return True
    return False


def tightest(supply: Supply, lo: int, hi: int, pod: Pod) -> int:
    """The machine with the fewest free GPUs that can take one pod, or -1."""
    gpus, cpu, memory, _ = pod
    best = -1
    least = HUGE
    for machine in range(lo, hi):
        free = supply.machine_gpus[machine]
        if (
            gpus <= free < least
            and supply.machine_cpu[machine] >= cpu
            and supply.machine_memory[machine] >= memory
        ):
            best = machine
            least = free
            if free == gpus:
                break
    return best


def occupy(supply: Supply, machine: int, pods: int, pod: Pod) -> None:
    """Take (or with negative ``pods`` give back) the room of pods on a machine."""
    gpus, cpu, memory, _ = pod
    supply.machine_gpus[machine] -= pods * gpus
    supply.machine_cpu[machine] -= pods * cpu
    supply.machine_memory[machine] -= pods * memory


def pods_of(kinds: Kinds, kind: int) -> Pods:
    """What one worker, and what each head of a gang takes."""
    return worker_of(kinds, kind), head_of(kinds, kind)


def shift(supply: Supply, pods_taken: Pods, log: Column, span: Span, sign: int) -> None:
    """Take the room of log entries on their machines, or with sign -1 give it back.

    The entries are not cut out of the log: a copy for every step was half of an exchange's time.
    """
    worker, head = pods_taken
    for at in range(span.begin, span.end, 2):
        machine, pods = log[at], log[at + 1]
        if pods == 0:
            occupy(supply, machine, sign, head)
        else:
            occupy(supply, machine, sign * pods, worker)


def take_pods(supply: Supply, pod: Pod, cell: int, wanted: int, log: Column) -> int:
    """Put up to ``wanted`` pods on the tightest machines; returns how many found room.

    Workers go to machines of the cell, one log entry a machine with their number; heads to any
    machine of its site, one entry a head, with 0 for the number.
    """
    gpus, cpu, memory, is_head = pod
    lo, hi = supply.cell_lo[cell], supply.cell_hi[cell]
    if is_head:
        lo, hi = supply.site_lo[cell], supply.site_hi[cell]
    left = wanted
    while left > 0:
        machine = tightest(supply, lo, hi, pod)
        if machine < 0:
            break
        pods = min(left, fitting(supply, machine, gpus, cpu, memory))
        occupy(supply, machine, pods, pod)
        left -= pods
        for _ in range(pods if is_head else 1):
            log.append(machine)
            log.append(0 if is_head else pods)
    supply.cell_free[cell] -= (wanted - left) * gpus
    return wanted - left


def take_gang(supply: Supply, kinds: Kinds, kind: int, cell: int, log: Column) -> bool:
    """Put a whole gang with its heads into a cell, or change nothing."""
    if not has_slots(supply, kinds, kind, cell):
        return False
    start, workers = len(log), kinds.workers[kind]
    placed = take_pods(supply, worker_of(kinds, kind), cell, workers, log)
    heads = kinds.heads[kind]
    is_whole = placed == workers
    if is_whole:
        is_whole = take_pods(supply, head_of(kinds, kind), cell, heads, log) == heads
    if not is_whole:
        shift(supply, pods_of(kinds, kind), log, Span(start, len(log)), -1)
        supply.cell_free[cell] += placed * kinds.gpus[kind]
        while len(log) > start:
            log.pop()
        return False
    return True


def could_leave(sizes: Column, below: Column, gang: int, enough: int, limit: int) -> int:
    """GPUs of the gangs of fewer than ``limit`` from one on down its cell's list, or ``enough``."""
    gpus = 0
    while gang != NOBODY and gpus < enough:
        if sizes[gang] < limit:
            gpus += sizes[gang]
        gang = below[gang]
    return gpus


def would_take(supply: Supply, kinds: Kinds, kind: int, cell: int) -> bool:
    """``take_gang`` without taking."""
    log = [0 for _ in range(0)]
    is_taken = take_gang(supply, kinds, kind, cell, log)
    if is_taken:
        shift(supply, pods_of(kinds, kind), log, Span(0, len(log)), -1)
        supply.cell_free[cell] += kinds.workers[kind] * kinds.gpus[kind]
    return is_taken
