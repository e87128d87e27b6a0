"""Writes events without ever holding up the work they report.

``emit`` decides and queues; ``run`` writes. What was said already, what comes too fast, and what the
API server does not take is dropped and counted: an event is a courtesy, conditions are the record.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from hansa.errors import HansaError
from hansa.observability.events import MAX_NOTE, Event
from hansa.ports import Clock, Cluster, Manifest

MAX_QUEUED = 1000
MAX_REMEMBERED = 10_000
MAX_GENERATED_PREFIX = 50


@dataclass(frozen=True, slots=True)
class Limit:
    """A token bucket: ``burst`` events at once, then ``per_second``."""

    per_second: float = 20.0
    burst: int = 100


class EventRecorder:
    """Dedupes, limits and writes events as one reporting controller."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        *,
        controller: str,
        instance: str,
        limit: Limit | None = None,
    ) -> None:
        """``controller``: ``hansa.dev/hub``, ``hansa.dev/ledger`` or ``hansa.dev/member``; ``instance``: the pod."""
        self._cluster = cluster
        self._clock = clock
        self._reporter = {"reportingController": controller, "reportingInstance": instance[:128]}
        self._limit = limit or Limit()
        self._tokens = float(self._limit.burst)
        self._refilled_at = clock.monotonic()
        self._said_until: dict[tuple[str, ...], float] = {}
        self._queue: asyncio.Queue[tuple[str, Manifest]] = asyncio.Queue(MAX_QUEUED)
        self.outcomes: Counter[str] = Counter()
        """Event outcomes so far: written, repeated, limited, failed."""

    def emit(self, event: Event) -> bool:
        """Queue an event; False when it was said already or comes too fast. Never waits."""
        now = self._clock.monotonic()
        if self._said_until.get(event.key, now) > now:
            self.outcomes["repeated"] += 1
            return False
        if self._queue.full() or not self._take_token(now):
            self.outcomes["limited"] += 1
            return False
        self._remember(event, now)
        self._queue.put_nowait(self._render(event))
        return True

    async def run(self) -> None:
        """Write queued events until cancelled."""
        while True:
            await self._write(*await self._queue.get())

    async def flush(self) -> None:
        """Write what is queued now, then return: the last act before a process ends."""
        while not self._queue.empty():
            await self._write(*self._queue.get_nowait())

    async def _write(self, path: str, body: Manifest) -> None:
        try:
            await self._cluster.create(path, body)
        except HansaError:
            self.outcomes["failed"] += 1
        else:
            self.outcomes["written"] += 1

    def _take_token(self, now: float) -> bool:
        refilled = self._tokens + (now - self._refilled_at) * self._limit.per_second
        self._tokens = min(self._limit.burst, refilled)
        self._refilled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _remember(self, event: Event, now: float) -> None:
        if len(self._said_until) >= MAX_REMEMBERED:
            self._said_until = {key: end for key, end in self._said_until.items() if end > now}
        if len(self._said_until) >= MAX_REMEMBERED:
            self._said_until.clear()
        self._said_until[event.key] = now + event.window_s

    def _render(self, event: Event) -> tuple[str, Manifest]:
        subject = event.subject
        namespace = subject.namespace or "default"
        prefix = subject.name[:MAX_GENERATED_PREFIX].rstrip(".-")
        stamp = datetime.fromtimestamp(self._clock.now(), UTC)
        regarding = {
            "apiVersion": subject.api_version,
            "kind": subject.kind,
            "name": subject.name,
            "namespace": subject.namespace,
            "uid": subject.uid,
        }
        body: Manifest = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"generateName": f"{prefix}-", "namespace": namespace},
            "eventTime": stamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": event.type,
            "reason": event.reason,
            "action": event.action,
            "note": event.note[:MAX_NOTE],
            "regarding": {name: value for name, value in regarding.items() if value},
            **self._reporter,
        }
        return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", body
