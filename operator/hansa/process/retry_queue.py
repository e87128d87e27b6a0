"""A queue of keys: each key is worked on by one worker at a time, and never forgotten.

A key put while it is being worked on is worked on once more; a key that failed comes back later.
"""

from __future__ import annotations

import asyncio
from collections import deque


class KeyedQueue:
    """Keys waiting to be worked on. One event loop owns it."""

    def __init__(self, *, first_retry_s: float, longest_retry_s: float = 60.0) -> None:
        """``first_retry_s`` doubles with every failure of a key in a row."""
        self._first_s, self._longest_s = first_retry_s, longest_retry_s
        self._ready: deque[str] = deque()
        self._queued: set[str] = set()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._failures: dict[str, int] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queued) + len(self._busy)

    def put(self, key: str) -> None:
        """Ask for a key to be worked on."""
        if key in self._busy:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.append(key)
            self._wake.set()

    async def get(self) -> str:
        """Take the next key; ``done`` or ``failed`` must follow."""
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key = self._ready.popleft()
        self._queued.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: str) -> None:
        """Give a key back."""
        self._failures.pop(key, None)
        self._give_back(key)

    def failed(self, key: str, *, after_s: float = 0.0) -> None:
        """Give a key back and have it worked on again, later each time."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(self._longest_s, self._first_s * 2.0 ** min(count - 1, 10))
        self._give_back(key)
        asyncio.get_running_loop().call_later(max(delay, after_s), self.put, key)

    def failures(self, key: str) -> int:
        """Return how often a key has failed in a row."""
        return self._failures.get(key, 0)

    def _give_back(self, key: str) -> None:
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.put(key)
