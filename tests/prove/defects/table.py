"""All defects, by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.prove.defects import (
    of_the_clocks,
    of_the_inventory,
    of_the_law,
    of_the_leaders,
    of_the_line,
    of_the_log,
    of_the_protocol,
    of_the_start,
    of_verification,
    of_what_is_made,
)
from tests.prove.defects.defect import Defect

_TABLES: tuple[Mapping[str, Defect], ...] = (
    of_the_protocol.MEMBER,
    of_the_protocol.HUB,
    of_the_protocol.BOTH,
    of_the_clocks.CLOCKS,
    of_the_start.START,
    of_the_law.TRUST,
    of_the_law.ACCEPTED,
    of_the_law.LOCK_AND_GUARD,
    of_the_law.EXPORTS,
    of_what_is_made.RUNS,
    of_what_is_made.CHARTS,
    of_the_inventory.INVENTORY,
    of_the_log.LOG,
    of_verification.VERIFICATION,
    of_the_leaders.LEADERS,
    of_the_line.LINE,
)
DEFECTS: Mapping[str, Defect] = {name: one for table in _TABLES for name, one in table.items()}
assert len(DEFECTS) == sum(map(len, _TABLES)), "two defects have one name"
