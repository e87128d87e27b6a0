"""The queue of keys that workers share: deduplicated, in lanes, one worker a key at a time.

A key that comes back while it is worked on is worked on once more, however often it came; one that
failed comes back later, each time after a longer pause. What to do is derived when a key is taken,
not when it is put in: a burst of events costs one derivation.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

URGENT, NORMAL, LATER = 0, 1, 2
"""Lanes: grants first, then what people see, then tidying up."""
MOST_TIDYING = 2
"""Workers that may tidy up at the same time."""
REST = 4.0
"""Each rests so many times as long as a key took: when the API server is slow, tidying gives way."""
CALM_S, CALM_REST = 1.0, 0.5
"""Where nothing better was to be done for so long, they rest shorter: what was put off for a rush of
thousands is to be over soon after it."""
FIRST_RETRY_S, LONGEST_RETRY_S = 0.2, 60.0

Key = TypeVar("Key", bound=Hashable)


class WorkQueue(Generic[Key]):
    """Keys waiting to be worked on. One event loop owns it."""

    def __init__(self, *, first_retry_s: float = FIRST_RETRY_S, rest: float = REST) -> None:
        """``first_retry_s`` doubles with every failure of a key in a row, up to a minute."""
        self._first_retry_s = first_retry_s
        self._rest = rest
        self._heap: list[tuple[int, int, Key]] = []
        self._lanes: dict[Key, int] = {}
        self._busy: dict[Key, int] = {}
        """Key that is worked on → its lane."""
        self._tidying: dict[Key, float] = {}
        self._resting = 0
        self._better_s = float("-inf")
        """When anything better than tidying was last taken."""
        self._again: dict[Key, int] = {}
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._count = 0
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        """Keys that wait; those that come back later are not among them."""
        return len(self._lanes) + len(self._again)

    @property
    def unfinished(self) -> int:
        """Keys that wait or are worked on."""
        return len(self._lanes) + len(self._busy)

    def add(self, key: Key, lane: int = NORMAL) -> None:
        """Put a key in; a key already waiting moves up if ``lane`` is better."""
        if key in self._busy:
            self._again[key] = min(lane, self._again.get(key, lane))
            return
        if lane >= self._lanes.get(key, LATER + 1):
            return
        self._lanes[key] = lane
        self._count += 1
        heapq.heappush(self._heap, (lane, self._count, key))
        self._ready.set()

    def add_later(self, key: Key, delay_s: float, lane: int = NORMAL) -> None:
        """Put a key in after a while; an earlier such wish is replaced."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._timers[key] = loop.call_later(delay_s, self._ring, key, lane)

    async def take(self) -> Key:
        """Return the next key; ``done``, ``failed`` or ``put_back`` must follow.

        Suspends for every key, also while many wait: workers must not hold the loop between them.
        """
        await asyncio.sleep(0)
        while True:
            while self._heap and (self._heap[0][0] < LATER or self._may_tidy()):
                lane, _, key = heapq.heappop(self._heap)
                if self._lanes.get(key) == lane:
                    del self._lanes[key]
                    self._busy[key] = lane
                    now_s = asyncio.get_running_loop().time()
                    if lane == LATER:
                        self._tidying[key] = now_s
                    else:
                        self._better_s = now_s
                    return key
            self._ready.clear()
            await self._ready.wait()

    def tidies(self, key: Key) -> bool:
        """Tell whether a key is worked on because nothing better was to be done."""
        return key in self._tidying

    def done(self, key: Key) -> None:
        """Give a key back."""
        self._failures.pop(key, None)
        self._give_back(key)

    def put_back(self, key: Key) -> None:
        """Give a key back untouched: it is taken again, after all that waits in a better lane by then."""
        lane = self._busy.pop(key)
        self._tidying.pop(key, None)
        self.add(key, min(lane, self._again.pop(key, lane)))

    def failed(self, key: Key, *, after_s: float = 0.0) -> None:
        """Give a key back and have it worked on again: later each time, ``after_s`` at the least."""
        before = self._failures.get(key, 0)
        self._failures[key] = before + 1
        pause_s = min(LONGEST_RETRY_S, self._first_retry_s * 2.0 ** min(before, 10))
        self._give_back(key)
        self.add_later(key, max(pause_s, after_s))

    def failures(self, key: Key) -> int:
        """Return how often a key has failed in a row."""
        return self._failures.get(key, 0)

    def clear(self) -> None:
        """Forget everything that waits."""
        self._heap.clear()
        self._lanes.clear()
        self._again.clear()
        self._failures.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _give_back(self, key: Key) -> None:
        self._busy.pop(key, None)
        began_s = self._tidying.pop(key, None)
        if began_s is not None:
            self._resting += 1
            loop = asyncio.get_running_loop()
            is_calm = loop.time() - self._better_s > CALM_S
            rest = min(self._rest, CALM_REST) if is_calm else self._rest
            loop.call_later(rest * (loop.time() - began_s), self._rested)
        lane = self._again.pop(key, None)
        if lane is not None:
            self.add(key, lane)

    def _may_tidy(self) -> bool:
        return len(self._tidying) + self._resting < MOST_TIDYING

    def _rested(self) -> None:
        self._resting -= 1
        self._ready.set()

    def _ring(self, key: Key, lane: int) -> None:
        self._timers.pop(key, None)
        self.add(key, lane)
