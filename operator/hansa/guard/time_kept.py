"""What time it is for the guard, when some of the clocks it can ask are wrong.

Between readings a monotonic clock says how much time has passed, and nobody sets that. So neither a
jump forward of one clock ends a run, nor a jump back of one lengthens a contract. Only where this
machine's clock and the API server's agree that it is another time, it is. A run keeps the latest time
at which it was seen, also when those two go back together, as they do where both are one machine's: it
may end too early, never too late. Runs that begin later know only the time that is right by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hansa.ports import Clock

BELIEVED_AFTER_S = 2.0
"""What the API server's clock says is known by our own, as of its last answer: a jump of ours since then
would look as if both had made it. So they have to agree for so long, in which it has answered again."""


class TimeKept:
    """The guard's time, and that of each run."""

    def __init__(
        self, clock: Clock, *, server_skew: Callable[[], float | None], skew_s: float
    ) -> None:
        """``server_skew()``: the API server's clock minus ours in seconds, None if not known.

        ``skew_s``: most that two clocks differ which agree.
        """
        self._clock = clock
        self._server_skew = server_skew
        self._skew_s = skew_s
        self._last = clock.now(), clock.monotonic()
        self._heard = False
        """Whether the API server has said a time."""
        self._otherwise_since: float | None = None
        """Monotonic time since when both clocks agree on another time than ours."""
        self._of_runs: dict[str, tuple[float, float]] = {}
        """Namespace's uid → the latest time at which it was seen, and the monotonic time then."""

    def now_s(self) -> float:
        """Return the time. Until the API server is heard, and then once, the clock counts that says more."""
        wall_s, steady_s, ahead_s = self._clock.now(), self._clock.monotonic(), self._server_skew()
        now_s = self._last[0] + steady_s - self._last[1]
        if not self._heard:
            now_s, self._heard = max(now_s, wall_s, wall_s + (ahead_s or 0.0)), ahead_s is not None
        elif ahead_s is not None and abs(ahead_s) <= self._skew_s:
            now_s = self._agreed(now_s, wall_s + max(0.0, ahead_s), steady_s)
        else:
            self._otherwise_since = None
        self._last = now_s, steady_s
        return now_s

    def _agreed(self, now_s: float, both_s: float, steady_s: float) -> float:
        """Return the time where both clocks say ``both_s``."""
        if abs(both_s - now_s) <= self._skew_s:
            self._otherwise_since = None
            return max(now_s, both_s)
        if self._otherwise_since is None:
            self._otherwise_since = steady_s
        return both_s if steady_s - self._otherwise_since >= BELIEVED_AFTER_S else now_s

    def of_runs(self, uids: Iterable[str]) -> dict[str, float]:
        """Return the time of each run there is; it never goes back. Others are forgotten."""
        now_s, steady_s = self.now_s(), self._clock.monotonic()
        kept = {}
        for uid in uids:
            seen_s, then_s = self._of_runs.get(uid, (now_s, steady_s))
            kept[uid] = max(now_s, seen_s + steady_s - then_s), steady_s
        self._of_runs = kept
        return {uid: run_s for uid, (run_s, _) in kept.items()}
