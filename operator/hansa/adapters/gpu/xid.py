"""XID errors, which a driver tells only to those who listen, and counts for nobody.

What happened before the exporter listened is not known. Where a driver tells none (most virtual
machines with a part of a card) that is None, not zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pynvml

MOST_EVENTS = 256
"""Errors taken in at one reading: a broken link may tell of them without end."""
MOST_CODES = 64
"""Different XIDs remembered of a card; NVIDIA has given out some 150."""


class XidEvents:
    """Counts XID errors by card. Blocking, for a moment; one thread at a time."""

    def __init__(self, library: ModuleType | Any = pynvml) -> None:
        """``library``: the NVML binding, initialised by the caller before ``listen``."""
        self._nvml = library
        self._events: Any = None
        self._counts: dict[str, dict[int, int]] = {}

    def listen(self) -> None:
        """Begin to listen to every card that tells; what was counted before stays."""
        n = self._nvml
        self._events = self._ask(n.nvmlEventSetCreate)
        if self._events is None:
            return
        for index in range(self._ask(n.nvmlDeviceGetCount) or 0):
            card = self._ask(n.nvmlDeviceGetHandleByIndex, index)
            if card is not None and self._register(card):
                self._counts.setdefault(str(self._ask(n.nvmlDeviceGetUUID, card)), {})

    def drain(self) -> None:
        """Take in what has come since the last time."""
        for _ in range(MOST_EVENTS if self._events is not None else 0):
            event = self._ask(self._nvml.nvmlEventSetWait, self._events, 0)
            if event is None:
                return
            if event.eventType == self._nvml.nvmlEventTypeXidCriticalError:
                self._count(str(self._ask(self._nvml.nvmlDeviceGetUUID, event.device)), event)

    def of(self, uuid: str) -> Mapping[int, int] | None:
        """Return XID → errors of a card, the last one last; None: its driver tells none."""
        found = self._counts.get(uuid)
        return None if found is None else dict(found)

    def close(self) -> None:
        """Stop listening."""
        if self._events is not None:
            self._ask(self._nvml.nvmlEventSetFree, self._events)
            self._events = None

    def _register(self, card: Any) -> bool:
        n = self._nvml
        kind = n.nvmlEventTypeXidCriticalError
        told = self._ask(n.nvmlDeviceGetSupportedEventTypes, card) or 0
        if not told & kind:
            return False
        try:
            n.nvmlDeviceRegisterEvents(card, kind, self._events)
        except n.NVMLError:
            return False
        return True

    def _count(self, uuid: str, event: Any) -> None:
        counts, xid = self._counts.setdefault(uuid, {}), int(event.eventData)
        if xid in counts or len(counts) < MOST_CODES:
            counts[xid] = counts.pop(xid, 0) + 1

    def _ask(self, call: Callable[..., Any], *arguments: object) -> Any:
        try:
            return call(*arguments)
        except self._nvml.NVMLError:
            return None
