"""Which changes of a site a compiled league can take in."""

from __future__ import annotations

from dataclasses import replace

from hansa.model.snapshot import Site
from hansa.placement.supply import sane_price


def is_light(old: Site, new: Site, *, has_budgets: bool) -> bool:
    """Whether two states of a site differ only in prices and in whether it takes work."""
    if old.gpu_hour_price != new.gpu_hour_price or old.cpu_hour_price != new.cpu_hour_price:
        prices = (*new.gpu_hour_price.values(), new.cpu_hour_price)
        if not all(sane_price(price)[1] for price in prices) or has_budgets:
            return False
    return _plain(old) == _plain(new)


def _plain(site: Site) -> Site:
    return replace(
        site, unavailable=None, unavailable_message="", draining=False, policy_generation=0,
        gpu_hour_price={}, cpu_hour_price=0,
    )  # fmt: skip
