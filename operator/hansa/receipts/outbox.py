"""What travels: a window of receipts right behind the watermark, and how the pace follows the backlog.

A hub that takes nothing gets nothing new, and makes nobody forget: receipts wait where they are. Where
the room for them runs out, those of live runs become longer, so that every second stays covered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from hansa.receipts.metering import EVERY_S, LONGEST_S

MOST_ENVELOPES = 32
MOST_BYTES = 64 << 10


def window(envelopes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return as many envelopes as travel at once, from the first; always one if there is one."""
    chosen: list[dict[str, Any]] = []
    size = 0
    for envelope in envelopes:
        size += len(orjson.dumps(envelope))
        if len(chosen) == MOST_ENVELOPES or (chosen and size > MOST_BYTES):
            break
        chosen.append(envelope)
    return chosen


def behind(waiting: int, most: int) -> str:
    """Return why nothing new is to be begun while so many receipts wait; empty: it may.

    ``most`` 0: however many wait.

    >>> behind(3150, 0), behind(3149, 3150)
    ('', '')
    """
    if not most or waiting < most:
        return ""
    return (
        f"{waiting} receipts of work done here wait for the league's ledger, {most} at most may; its"
        " platform team has to make it take them again, then new work is taken too"
    )


def pace_s(waiting: int, room: int) -> int:
    """Return after how long a live run gets its next receipt, in seconds.

    ``waiting`` receipts are not taken yet, ``room`` there are places for.

    >>> pace_s(0, 100), pace_s(60, 100), pace_s(90, 100)
    (300, 3600, 86400)
    """
    if waiting * 2 < room:
        return EVERY_S
    return 12 * EVERY_S if waiting * 4 < room * 3 else LONGEST_S
