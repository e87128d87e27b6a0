"""Who owes whom less when everybody sets off what goes round in circles. No net position changes.

First between two: of mutual debts the smaller disappears. Then among many: the largest circulation
within the debts, as integers (Slovenia's set-off since 1991; Fleischman, Dini and Littera 2020). Nobody
gets a new debtor, and nobody's sum of claims less debts changes.

Of several largest circulations one is chosen by a second weight, drawn from the names of the pair by
SHA-256. It makes the best one unique but for an even chance in thousands of millions, so that members
who recompute it agree to the byte, whatever the solver, its version or the order of its input.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import TypeAlias

import networkx as nx

from hansa.errors import Terminal

Obligations: TypeAlias = Mapping[tuple[str, str], int]
"""(debtor, creditor) → micros, above zero."""
_TIE_BITS = 32


def checked(obligations: Obligations) -> dict[tuple[str, str], int]:
    """Return obligations in order, without empty ones; raises ``ValueError`` for impossible ones."""
    for (debtor, creditor), micros in obligations.items():
        if micros < 0:
            raise ValueError(
                f"{debtor} cannot owe {creditor} {micros}: write it the other way round"
            )
        if debtor == creditor:
            raise ValueError(f"{debtor} cannot owe itself")
    return {pair: obligations[pair] for pair in sorted(obligations) if obligations[pair]}


def bilateral(obligations: Obligations) -> dict[tuple[str, str], int]:
    """Return what is set off between two, per debt."""
    return {
        pair: min(micros, obligations[pair[::-1]])
        for pair, micros in sorted(obligations.items())
        if obligations.get(pair[::-1])
    }


def multilateral(obligations: Obligations) -> dict[tuple[str, str], int]:
    """Return the largest circulation within the debts, per debt."""
    graph = nx.DiGraph()
    scale = sum(obligations.values()) << _TIE_BITS
    for (debtor, creditor), micros in sorted(obligations.items()):
        weight = _tie(debtor, creditor) - scale
        graph.add_edge(debtor, creditor, capacity=micros, weight=weight)
    flow: dict[tuple[str, str], int] = {}
    for names in sorted(map(sorted, nx.strongly_connected_components(graph))):
        if len(names) > 1:
            _, found = nx.network_simplex(_part(graph, names))
            flow |= {(a, b): n for a, row in found.items() for b, n in row.items() if n}
    return dict(sorted(flow.items()))


def set_off(obligations: Obligations) -> dict[tuple[str, str], int]:
    """Return what is set off in both steps, per debt, checked; raises ``Terminal`` where it is wrong.

    A solver is a stranger in the money path: whatever it found is checked before it is believed.
    """
    owed = checked(obligations)
    first = bilateral(owed)
    left = less(owed, first)
    second = multilateral(left)
    pairs = sorted({*first, *second})
    total = {pair: first.get(pair, 0) + second.get(pair, 0) for pair in pairs}
    _check(owed, total)
    return total


def less(obligations: Obligations, settled: Obligations) -> dict[tuple[str, str], int]:
    """Return what is left of debts."""
    left = {pair: micros - settled.get(pair, 0) for pair, micros in obligations.items()}
    return {pair: micros for pair, micros in left.items() if micros}


def net_positions(obligations: Obligations) -> dict[str, int]:
    """Return institution → claims less debts, in micros."""
    net: dict[str, int] = defaultdict(int)
    for (debtor, creditor), micros in obligations.items():
        net[creditor] += micros
        net[debtor] -= micros
    return dict(sorted(net.items()))


def _tie(debtor: str, creditor: str) -> int:
    name = f"{debtor}\0{creditor}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[: _TIE_BITS // 8], "big")


def _part(graph: nx.DiGraph, names: list[str]) -> nx.DiGraph:
    """Return a copy of a part in the order of names: a view's order is that of a set of strings."""
    part, inside = nx.DiGraph(), set(names)
    part.add_nodes_from(names)
    for name in names:
        for other in sorted(inside.intersection(graph[name])):
            part.add_edge(name, other, **graph[name][other])
    return part


def _check(owed: Obligations, settled: Obligations) -> None:
    if any(not 0 < micros <= owed.get(pair, 0) for pair, micros in settled.items()):
        raise Terminal("the set-off takes more than is owed", reason="SetOffWrong")
    moved = [name for name, micros in net_positions(settled).items() if micros]
    if moved:
        text = f"the set-off changes the net position of {', '.join(moved)}"
        raise Terminal(text, reason="SetOffWrong")
