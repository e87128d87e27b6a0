# ruff: noqa: PLR0917  # numba compiles plain positional columns only
"""Gangs into machines: the tightest that fits, all workers and the head, or nothing.

Part of the kernel: see ``kernel`` for how it is written and why.
"""

from __future__ import annotations

from hansa.placement.kernel.tables import HUGE, Column, Kinds, Supply


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


def has_slots(supply: Supply, cell: int, kinds: Kinds, kind: int, want: int) -> bool:
    """Whether ``want`` workers fit on the machines of a cell."""
    gpus, cpu, memory = kinds.gpus[kind], kinds.cpu[kind], kinds.memory[kind]
    if supply.cell_free[cell] < want * gpus:
        return False
    slots = 0
    for machine in range(supply.cell_lo[cell], supply.cell_hi[cell]):
        if supply.machine_gpus[machine] >= gpus:
            slots += fitting(supply, machine, gpus, cpu, memory)
            if slots >= want:
                return True
    return False


def tightest(supply: Supply, lo: int, hi: int, gpus: int, cpu: int, memory: int) -> int:
    """The machine with the fewest free GPUs that can take one pod, or -1."""
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


def occupy(supply: Supply, machine: int, pods: int, gpus: int, cpu: int, memory: int) -> None:
    """Take (or with negative ``pods`` give back) the room of pods on a machine."""
    supply.machine_gpus[machine] -= pods * gpus
    supply.machine_cpu[machine] -= pods * cpu
    supply.machine_memory[machine] -= pods * memory


def take_workers(
    supply: Supply, cell: int, kinds: Kinds, kind: int, workers: int, log: Column
) -> int:
    """Put up to ``workers`` on the tightest machines; returns how many found room."""
    gpus, cpu, memory = kinds.gpus[kind], kinds.cpu[kind], kinds.memory[kind]
    left = workers
    while left > 0:
        machine = tightest(supply, supply.cell_lo[cell], supply.cell_hi[cell], gpus, cpu, memory)
        if machine < 0:
            break
        pods = min(left, fitting(supply, machine, gpus, cpu, memory))
        occupy(supply, machine, pods, gpus, cpu, memory)
        log.append(machine)
        log.append(pods)
        left -= pods
    supply.cell_free[cell] -= (workers - left) * gpus
    return workers - left


def give_back(
    supply: Supply, cell: int, kinds: Kinds, kind: int, log: Column, start: int, end: int
) -> int:
    """Undo the log entries ``start … end`` of a gang; returns its workers."""
    workers = 0
    for at in range(start, end, 2):
        machine, pods = log[at], log[at + 1]
        if pods == 0:
            occupy(supply, machine, -1, 0, kinds.head_cpu[kind], kinds.head_memory[kind])
        else:
            occupy(supply, machine, -pods, kinds.gpus[kind], kinds.cpu[kind], kinds.memory[kind])
            workers += pods
    supply.cell_free[cell] += workers * kinds.gpus[kind]
    return workers


def retake(
    supply: Supply, cell: int, kinds: Kinds, kind: int, log: Column, start: int, end: int
) -> None:
    """Take the room of log entries once more: the reverse of ``give_back``."""
    for at in range(start, end, 2):
        machine, pods = log[at], log[at + 1]
        if pods == 0:
            occupy(supply, machine, 1, 0, kinds.head_cpu[kind], kinds.head_memory[kind])
        else:
            occupy(supply, machine, pods, kinds.gpus[kind], kinds.cpu[kind], kinds.memory[kind])
            supply.cell_free[cell] -= pods * kinds.gpus[kind]


def take_gang(
    supply: Supply, cell: int, kinds: Kinds, kind: int, workers: int, log: Column
) -> bool:
    """Put a whole gang with its head into a cell, or change nothing."""
    if not has_slots(supply, cell, kinds, kind, workers):
        return False
    start = len(log)
    placed = take_workers(supply, cell, kinds, kind, workers, log)
    head_cpu, head_memory = kinds.head_cpu[kind], kinds.head_memory[kind]
    head = tightest(supply, supply.site_lo[cell], supply.site_hi[cell], 0, head_cpu, head_memory)
    if placed < workers or head < 0:
        give_back(supply, cell, kinds, kind, log, start, len(log))
        while len(log) > start:
            log.pop()
        return False
    occupy(supply, head, 1, 0, head_cpu, head_memory)
    log.append(head)
    log.append(0)
    return True
