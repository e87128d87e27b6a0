"""Which GPUs were seen to serve which run since its last receipt, and what their counters say they drew.

What is seen is a lower bound: a look a minute, by the exporters of the machines. Between an agent's end
and the next one's first look nothing is counted, and a counter that went back begins anew. Bounded by
the GPUs there are times the runs there are.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hansa.model.times import rfc3339
from hansa.receipts.work_receipt import HeldGpu

MILLI = 1000
MOST_A_RUN = 4096
ID_HEX = 16


@dataclass(slots=True)
class _Sighting:
    """One GPU in one run, since the run's last receipt."""

    first_s: int
    last_s: int
    millijoules: int | None
    """Where its counter stood last; None: it has none."""
    drawn: int = 0
    """Millijoules since the last receipt."""
    is_new: bool = True
    """Whether it was seen since the last receipt."""
    told_s: int = 0
    told: int = 0
    """Until when, and how many whole joules of ``drawn``, stand in the receipt that is being made."""


class GpuSightings:
    """What exporters told, by run and GPU."""

    def __init__(self, salt: bytes) -> None:
        """``salt`` is this member's own: without it a hash of a uuid tells nothing."""
        self._salt = salt
        self._runs: defaultdict[str, dict[str, _Sighting]] = defaultdict(dict)

    def see(
        self,
        served: Mapping[str, Mapping[str, int | None]],
        run_of: Callable[[str], str | None],
        now_s: float,
    ) -> None:
        """Take one look in. ``served``: job → GPU → millijoules of its counter, where it has one."""
        for job, gpus in served.items():
            run = run_of(job)
            for uuid, millijoules in gpus.items() if run is not None else ():
                self._see(str(run), self._id(uuid), int(now_s), millijoules)

    def told(self, run: str) -> tuple[tuple[HeldGpu, ...], int | None]:
        """Return the GPUs seen since the run's last receipt, and the joules that they drew.

        None: one of them does not tell, or none was seen. What is told here ``settle`` takes off.
        """
        seen = {gpu: one for gpu, one in sorted(self._runs.get(run, {}).items()) if one.is_new}
        for one in seen.values():
            one.told_s, one.told = one.last_s, one.drawn // MILLI
        held = tuple(
            HeldGpu(gpu=gpu, start=rfc3339(one.first_s), end=rfc3339(one.last_s))
            for gpu, one in seen.items()
        )
        unknown = not seen or any(one.millijoules is None for one in seen.values())
        return held, None if unknown else sum(one.told for one in seen.values())

    def settle(self, run: str, *, over: bool) -> None:
        """Begin anew behind a receipt; what came after ``told``, and parts of a joule, go on."""
        if over:
            self._runs.pop(run, None)
            return
        seen = self._runs.get(run, {})
        self._runs[run] = {gpu: _next(one) for gpu, one in seen.items() if one.is_new}

    def _see(self, run: str, gpu: str, now_s: int, millijoules: int | None) -> None:
        gpus = self._runs[run]
        known = gpus.get(gpu)
        if known is None:
            if len(gpus) < MOST_A_RUN:
                gpus[gpu] = _Sighting(now_s, now_s, millijoules)
            return
        if millijoules is not None and known.millijoules is not None:
            went_back = millijoules < known.millijoules
            known.drawn += millijoules - (0 if went_back else known.millijoules)
        known.first_s = known.first_s if known.is_new else known.last_s
        known.last_s, known.millijoules, known.is_new = max(known.last_s, now_s), millijoules, True

    def _id(self, uuid: str) -> str:
        return hmac.new(self._salt, uuid.encode(), hashlib.sha256).hexdigest()[:ID_HEX]


def _next(one: _Sighting) -> _Sighting:
    drawn, since_s = one.drawn - one.told * MILLI, one.told_s or one.first_s
    return _Sighting(since_s, one.last_s, one.millijoules, drawn, is_new=one.last_s > one.told_s)
