"""Plans: a run of the league with one thing going wrong, at one of the moments that were learned."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.apiserver.faults.calls import Call, Nth, Seen
from tests.apiserver.faults.league import SITES, League
from tests.apiserver.faults.proxy import Cut, Undisturbed, Way
from tests.apiserver.faults.shipped import GUARD, HUB
from tests.apiserver.fuzz.proxy import Answer

CRASHES = ("before", "lost", "after")
FROZEN = (f"{HUB}>{HUB}", *(f"{site}>{to}" for site in SITES for to in (HUB, site)))
WAITS_S, LASTS_S, CUT_S = (0.0, 0.5, 1.0), (1.0, 3.0), (1.0, 3.0, 12.0)
ANSWERS = {
    "lost": (0, ""),
    "429": (429, "TooManyRequests"),
    "409": (409, "Conflict"),
    "410": (410, "Expired"),
    "500": (500, "InternalError"),
    "504": (504, "Timeout"),
}
COMMITTED = ("lost", "504")
"""Answers to a write that was done all the same."""
AFTER_S = 0.2
KINDS = ("crash", "stale", "unobserved", "ambiguous", "partition")
PARTITIONS: Mapping[str, tuple[str, ...]] = {
    "hub cut from its server": (f"{HUB}>{HUB}",),
    **{f"{site} cut from the hub": (f"{site}>{HUB}",) for site in SITES},
    "all members cut from the hub": tuple(f"{site}>{HUB}" for site in SITES),
    **{f"agent of {site} cut from its server": (f"{site}>{site}",) for site in SITES},
    **{f"guard of {site} cut from its server": (f"{site}{GUARD}>{site}",) for site in SITES},
}
WAYS = ("there", "back", "both", "refused", "half-open")


@dataclass(frozen=True, slots=True)
class Learned:
    """What a run without a fault asked and heard, by kind and how often."""

    calls: Mapping[Call, int]
    events: Mapping[Call, int]

    @classmethod
    def common(cls, books: list[tuple[Counter[Call], Counter[Call]]]) -> Learned:
        """Keep what all of several runs had: calls and events."""
        calls, events = zip(*books, strict=True)
        return cls(_common(calls), _common(events))

    def writes(self) -> list[Nth]:
        """Return every write, in order; of signs of life one each."""
        return [nth for call in sorted(self.calls) if call.is_write for nth in self._each(call)]

    def news(self) -> list[Nth]:
        """Return every event that tells of something else than life."""
        told = [one for one in sorted(self.events) if one.verb != "BOOKMARK"]
        return [
            Nth(one, number)
            for one in told
            if not one.is_sign_of_life
            for number in range(1, self.events[one] + 1)
        ]

    def watches(self) -> list[Call]:
        """Return the watches there were."""
        return sorted(call for call in self.calls if call.verb == "watch")

    def _each(self, call: Call) -> list[Nth]:
        most = 1 if call.is_sign_of_life else self.calls[call]
        return [Nth(call, number) for number in range(1, most + 1)]


def _common(counts: Sequence[Counter[Call]]) -> dict[Call, int]:
    first, *others = counts
    least = {call: min(n, *(one[call] for one in others)) for call, n in first.items()}
    return {call: n for call, n in least.items() if n}


@dataclass
class Plan(Undisturbed):
    """One thing that goes wrong. ``met``: it did; ``over``: nothing is wrong any more."""

    league: League = field(init=False, repr=False)
    met: bool = field(default=False, init=False)
    over: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)
    tasks: list[asyncio.Task[None]] = field(default_factory=list, init=False, repr=False)

    def program(self, line: str) -> Any:
        """Return the program at the near end of a line."""
        return self.league.programs[line.partition(">")[0]]

    def later(self, work: Any) -> None:
        """Have something done beside what passes."""
        self.tasks.append(asyncio.get_running_loop().create_task(work))


@dataclass
class Crash(Plan):
    """A program is killed around a write of its own."""

    at: Nth
    when: str

    def __post_init__(self) -> None:
        self._seen = Seen(self.at)
        self._armed = False

    def __str__(self) -> str:
        return f"crash {self.when} {self.at}"

    async def call(self, way: Way, call: Call) -> Answer:
        """Kill it before, with the answer lost, or once it has the answer and goes on."""
        if self._armed and self.program(call.line) is self.program(self.at.what.line):
            self._kill()
            raise Cut
        if self.met or not self._seen.is_it(call):
            return await way.go()
        self.met = True
        if self.when == "before":
            self._kill()
            raise Cut
        answer = await way.go()
        if self.when == "lost":
            self._kill()
            raise Cut
        self._armed = True
        self.later(self._soon())
        return answer

    async def _soon(self) -> None:
        await asyncio.sleep(AFTER_S)
        if self._armed:
            self._kill()

    def _kill(self) -> None:
        self._armed = False
        self.program(self.at.what.line).kill()
        self.over.set()


@dataclass
class Ambiguous(Plan):
    """A write is answered with what says nothing of whether it was done."""

    at: Nth
    how: str

    def __post_init__(self) -> None:
        self._seen = Seen(self.at)

    def __str__(self) -> str:
        return f"ambiguous {self.how} to {self.at}"

    async def call(self, way: Way, call: Call) -> Answer:
        """Answer otherwise than the server does."""
        if self.met or not self._seen.is_it(call):
            return await way.go()
        self.met = True
        self.over.set()
        if self.how in COMMITTED:
            await way.go()
        if self.how == "lost":
            raise Cut
        return _refusal(self.how)


@dataclass
class Expired(Plan):
    """A watch's version is too old, and stays so until the collection is listed."""

    what: Call

    def __post_init__(self) -> None:
        self._listed = False

    def __str__(self) -> str:
        return f"ambiguous 410 to {self.what} until it is listed"

    def expires(self, call: Call) -> bool:
        """Tell the watch so."""
        if call != self.what or self._listed:
            return False
        self.met = True
        self.over.set()
        return True

    async def call(self, way: Way, call: Call) -> Answer:
        """Have seen it listed."""
        answer = await way.go()
        if self.met and (call.line, call.path, call.verb) == (
            self.what.line,
            self.what.path,
            "get",
        ):
            self._listed = True
        return answer


def _refusal(how: str) -> Answer:
    code, reason = ANSWERS[how]
    words = f'"status":"Failure","reason":"{reason}","code":{code},"message":"by the plan"'
    body = f'{{"kind":"Status","apiVersion":"v1",{words}}}'.encode()
    headers = {"Content_Type": "application/json"}
    return Answer(code, headers | ({"Retry_After": "1"} if code == 429 else {}), body)


@dataclass
class Unobserved(Plan):
    """One event of a watch is swallowed."""

    at: Nth

    def __post_init__(self) -> None:
        self._seen = Seen(self.at)

    def __str__(self) -> str:
        return f"unobserved {self.at}"

    def heard(self, call: Call) -> bool:
        """Swallow it."""
        if self.met or not self._seen.is_it(call):
            return True
        self.met = True
        self.over.set()
        return False


@dataclass
class Stale(Plan):
    """What a program sees of one server stands still from a moment on, and over a restart of it."""

    at: Nth
    line: str
    wait_s: float
    lasts_s: float

    def __post_init__(self) -> None:
        self._seen = Seen(self.at)

    def __str__(self) -> str:
        when = f"killed after {self.wait_s} s, thawed after {self.lasts_s} s more"
        return f"stale {self.line} from {self.at}, {when}"

    async def call(self, way: Way, call: Call) -> Answer:
        """Freeze before the write is passed on."""
        if not self.met and self._seen.is_it(call):
            self.met = True
            await self.league.lines[self.line].freeze()
            self.later(self._restart())
        return await way.go()

    async def _restart(self) -> None:
        await asyncio.sleep(self.wait_s)
        program = self.program(self.line)
        program.kill()
        await program.back()
        await asyncio.sleep(self.lasts_s)
        self.league.lines[self.line].thaw()
        self.over.set()


@dataclass
class Partition(Plan):
    """Lines are cut for a while: in one direction, in both, so that everybody knows, or silently."""

    at: Nth
    name: str
    way: str
    lasts_s: float

    def __post_init__(self) -> None:
        self._seen = Seen(self.at)

    def __str__(self) -> str:
        return f"partition {self.name}, {self.way}, {self.lasts_s} s from {self.at}"

    async def call(self, way: Way, call: Call) -> Answer:
        """Cut before the write is passed on."""
        if not self.met and self._seen.is_it(call):
            self.met = True
            self._cut()
            self.later(self._mend())
        return await way.go()

    def _lines(self) -> list[Any]:
        return [self.league.lines[name] for name in PARTITIONS[self.name]]

    def _cut(self) -> None:
        for line in self._lines():
            if self.way == "half-open":
                line.half_open()
            if self.way == "refused":
                line.refused = True
                line.hang_up()
            if self.way in {"there", "both"}:
                line.there.clear()
            if self.way in {"back", "both"}:
                line.back.clear()

    async def _mend(self) -> None:
        await asyncio.sleep(self.lasts_s)
        for line in self._lines():
            line.refused = False
            line.mend()
        self.over.set()


def every(kind: str, learned: Learned, *, separate: bool) -> list[Plan]:
    """Return all plans of a kind. Programs as processes have their own time-outs, which nobody waits for."""
    writes = learned.writes()
    match kind:
        case "crash":
            return [Crash(at, when) for at in writes for when in CRASHES]
        case "stale":
            asked = itertools.product(writes, FROZEN, WAITS_S, LASTS_S)
            return [Stale(*one) for one in asked]
        case "unobserved":
            return [Unobserved(at) for at in learned.news()]
        case "ambiguous":
            expired: list[Plan] = [Expired(watch) for watch in learned.watches()]
            return [Ambiguous(at, how) for at in writes for how in ANSWERS] + 3 * expired
    ways = [way for way in WAYS if not separate or way != "half-open"]
    asked = itertools.product(writes, PARTITIONS, ways, CUT_S)
    return [Partition(*one) for one in asked]
