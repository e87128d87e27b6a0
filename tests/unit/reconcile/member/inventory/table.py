"""The page of the documentation that says what each shape of machine counts for.

``python -m tests.unit.reconcile.member.inventory.table --write docs/reference`` writes it; a test compares.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hansa.reconcile.member.inventory.accelerators import BUILT_IN
from hansa.reconcile.member.inventory.machine import MachineRules, read_machine
from hansa.reconcile.member.inventory.stock import take_stock
from tests.unit.grants.grant_kit import policy
from tests.unit.reconcile.member.inventory.node_objects import CASES as USUAL
from tests.unit.reconcile.member.inventory.unusual_nodes import UNUSUAL

CASES = USUAL | UNUSUAL
PAGE = "accelerators.md"
HEAD = """# Accelerators and machines

<!-- Written by `make crds` from tests/unit/reconcile/member/inventory; a test compares it. -->

What a member reads of its Kubernetes Nodes: which resources are accelerators, of which class and memory, and which
machines take runs. What is not understood is never a CPU machine in silence: the condition `MachinesUnderstood` of
the MemberPolicy `local` names the machine and what is missing, and so does `hansa doctor`.

## The table

The first row whose product is told counts; a member's own rows (`settings.machines.accelerators` of the chart) go
before these.

"""
MIDDLE = """
- **A slice** (MIG, time-sliced, MPS) is a class of its own with its own memory: of a MIG slice its label's or its
  profile's, of a shared card the card's memory divided by its replicas. No worker gets two slices, for they may be of
  one card; the hub sees each slice as a machine with its share of processor and memory.
- **A share that no label tells** (HAMi, Intel's `shared-dev-num`): where a plugin offers more cards than discovery
  counted, or more than 16 where nobody counted (AMD's partitions without their label), each is a share. Whole cards with
  the same labels on other machines are then not lent: pods could not choose. What a member's own row says is believed.
- **Unknown is not zero.** A card whose memory is told nowhere, or cannot be true (below 1 GiB or above 1 TiB), is lent
  to jobs that ask for no `gpuMemory`. Where other machines tell it of the same class, it is not lent at all.
- **Memory of GKE's cards** is as Google states it, in decimal gigabytes, which is never more than there is.
- **Taints.** All pods of a run (head, submitter, workers) tolerate the taints of the table and those of
  `settings.runs.tolerations`; the same list decides which machines count, and the second lock admits no other.
- **Architecture.** Runs are bound to `settings.machines.architecture` (amd64). Other machines do not count.
- **What others hold.** On machines with an exporter, requests of everybody else's pods are taken off: processor (down
  to half a core), memory (down to 1 GiB), cards, and room for three pods; of a pod that is being resized what it asks
  for or what it still has, whichever is more. Elsewhere all that is allocatable is lent.
- **Cards by claim.** What only a DRA driver offers (ResourceSlices, `resource.k8s.io/v1`) is read where the API is there,
  and named: a run asks for extended resources and makes no claim, so such cards are not lent.
- **Quota of a run.** GPUs and number of pods are exact; processor and memory have 500m and 512Mi above what each pod
  asks for, and 2Gi above its limit of memory, for sidecars or a larger init container.
- **Cards stay hidden** from pods without GPUs (`NVIDIA_VISIBLE_DEVICES=void`), where NVIDIA's runtime is the default.
  KubeRay's init container of a GPU worker copies the worker's variables, so that there an image may show the cards to
  Ray's own health check.

## What each shape of machine is

| machine | classes: cards × memory | takes runs | what people are told |
|---|---|---|---|
"""


def page() -> str:
    """Return the page."""
    rows = ["| resource | class by | memory by | taint |", "|---|---|---|---|"]
    for row in BUILT_IN:
        memory = row.memory_label or ("a table" if row.memory_by_product else "not told")
        cells = (row.resource, row.class_label, memory, row.taint)
        rows.append("| " + " | ".join(_code(cell) for cell in cells) + " |")
    return HEAD + "\n".join(rows) + "\n" + MIDDLE + "".join(map(_row, CASES))


def _code(cell: str) -> str:
    return f"`{cell.replace('{base}', 'RESOURCE')}`" if "/" in cell else cell


def _row(name: str) -> str:
    machine = read_machine(CASES[name].node, MachineRules())
    told = take_stock([machine], policy(), {}).troubles
    classes = "<br>".join(
        f"`{c.gpu_class}`: {c.count} × {f'{c.memory_bytes >> 20}Mi' if c.memory_bytes else 'unknown'}"
        + (" (slices)" if c.is_slice else "")
        for c in machine.cards
    )
    said = "; ".join(text.partition(": ")[2] for text in told)
    return f"| {name} | {classes or 'none'} | {machine.barred or 'yes'} | {said} |\n"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.unit.reconcile.member.inventory.table")
    parser.add_argument("--write", type=Path, required=True, help="folder of the page")
    (parser.parse_args().write / PAGE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
