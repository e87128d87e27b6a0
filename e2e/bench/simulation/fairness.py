"""Who should have how much, and how even the outcome is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def fair_shares(
    demand: Mapping[str, int], weight: Mapping[str, int], capacity: int
) -> dict[str, float]:
    """Weighted max-min shares: nobody gets more than asked, spare goes to the others by weight.

    Names without weight get nothing. Source: water-filling, as in Bertsekas and Gallager, *Data
    Networks*, 6.5.2.
    """
    shares = dict.fromkeys(demand, 0.0)
    open_ = [name for name in sorted(demand) if demand[name] > 0 and weight.get(name, 0) > 0]
    left = float(capacity)
    while open_ and left > 0:
        level = left / sum(weight[name] for name in open_)
        full = [name for name in open_ if demand[name] <= level * weight[name]]
        if not full:
            shares.update({name: level * weight[name] for name in open_})
            break
        shares.update({name: float(demand[name]) for name in full})
        left -= sum(demand[name] for name in full)
        open_ = [name for name in open_ if name not in full]
    return shares


def jain(values: Sequence[float]) -> float:
    """Jain's index in (0, 1]: 1 when all values are equal; 1 for no values.

    Source: Jain, Chiu, Hawe, DEC-TR-301, 1984.
    """
    squares = sum(value * value for value in values)
    return 1.0 if squares <= 0 else sum(values) ** 2 / (len(values) * squares)
