"""What the hub's queue holds: which object to look at."""

from __future__ import annotations

from typing import NamedTuple


class ObjectKey(NamedTuple):
    """A kind's short name, and the uid (of a job) or name (of any other) of the object."""

    kind: str
    name: str
