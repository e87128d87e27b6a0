"""How far a driver's log was read, and the part of it that is kept at hand: read in pieces, without gap or repeat.

Kubernetes reads a log from a second on, not from a byte: what was taken of that second already is told by the lines'
own times, which the kubelet writes before them. So an agent that goes on, or begins anew, takes each line once.

A machine whose clock is set back states earlier times from then on, and answers with nothing new. Where the log's very
last line is earlier than the last that was taken, lines are asked for from before that time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hansa.api.job.log_window import WINDOW_BYTES, LogWindow
from hansa.model.times import from_rfc3339, rfc3339

KEPT_BEHIND_BYTES = 65_536
"""What two readers at different places may lie apart without the log being read from its beginning again."""
LEFT_OUT = "[lines are left out: more in one second than can be read]\n"
ROTATED = "[lines may be missing here: the machine has begun a new file]\n"
SET_BACK_S = 60
"""So long before the log's last line the first one may lie that a clock set back has stamped: longer than between looks."""
_NANO_DIGITS = 9
_LONGEST = 4
"""Bytes of the longest character."""
_CONTINUES = range(0x80, 0xC0).__contains__
"""Whether a byte of UTF-8 goes on with a character."""
_Key = tuple[int, str]
"""Second since the epoch, and the digits behind it: the order of lines, whatever the machine's time zone."""


@dataclass(frozen=True, slots=True)
class LogScan:
    """A log as far as it was read."""

    second: int = 0
    digits: str = ""
    lines: int = 0
    """How many lines with that very time were taken, that of the last one."""
    start: int = 0
    """Place of the first byte that is kept."""
    kept: bytes = b""
    earlier_s: int = 0
    """From how long before ``second`` on lines are asked for: the machine's clock was set back."""

    @property
    def end(self) -> int:
        """Place behind the last byte that was read."""
        return self.start + len(self.kept)

    def query(self, most_bytes: int) -> Mapping[str, str]:
        """Return how to ask the API server for what follows."""
        since_s = max(0, self.second - self.earlier_s)
        since = {"sinceTime": rfc3339(since_s)} if since_s else {}
        return since | {"timestamps": "true", "limitBytes": str(most_bytes)}

    def take(self, chunk: str, mark: str, *, is_cut: bool, is_over: bool = False) -> LogScan:
        """Return the scan with what a chunk adds.

        Args:
            chunk: What the API server answered to ``query``.
            mark: How lines begin that are none of the log; empty: no line does.
            is_cut: Whether the chunk ends at its limit.
            is_over: Whether nothing can follow any more: then an unfinished line is one.
        """
        whole = chunk if is_over and not is_cut else chunk[: chunk.rfind("\n") + 1]
        rows = list(_lines(whole, self._at))
        begin = self._behind_taken(rows)
        # Where the last line that was taken is not there any more, later times are new: all, of a clock set back.
        is_new = self.earlier_s > 0 and not is_cut
        later = [row for row in rows if is_new or row[0] > self._at]
        fresh = later if begin is None else rows[begin:]
        if not fresh:
            return self._beyond(chunk[len(whole) :]) if is_cut else self
        # A progress bar may stand before the mark; what it stands in is one line to everybody else.
        added = [
            text
            for _, text in fresh
            if not (mark and any(part.startswith(mark) for part in text.split("\r")))
        ]
        if added and begin is None:
            added.insert(0, ROTATED)
        last = fresh[-1][0]
        return LogScan(
            *last,
            lines=sum(key == last for key, _ in rows),
            start=self.start,
            kept=self.kept + "".join(added).encode(errors="replace"),
        )

    def looking_back(self, tail: str) -> LogScan | None:
        """Return the scan that asks for lines of a clock set back; None: it was not, or they are asked for already.

        ``tail``: the log's last line, with its time.
        """
        stamp, found, _ = tail.partition(" ")
        key = _key(stamp) if found else None
        if key is None or self.earlier_s or key[0] >= self.second:
            return None
        return replace(self, earlier_s=self.second - key[0] + SET_BACK_S)

    @property
    def _at(self) -> _Key:
        return self.second, self.digits

    def _behind_taken(self, rows: Sequence[tuple[_Key, str]]) -> int | None:
        """Return where the lines begin that were not taken; None: what was taken is not all there any more.

        By the place of the last one, not by time: of two streams the later line may state the earlier time.
        """
        same = [place for place, (key, _) in enumerate(rows) if key == self._at]
        if len(same) < self.lines:
            return None
        return same[self.lines - 1] + 1 if self.lines else 0

    def _beyond(self, cut: str) -> LogScan:
        """Return the scan where an answer held nothing new: at the next second, of which it had the beginning."""
        stamp, found, _ = cut.partition(" ")
        key = _key(stamp) if found else None
        if key is not None and key[0] > self.second:
            return LogScan(key[0], "", 0, self.start, self.kept)
        return LogScan(self.second + 1, "", 0, self.start, self.kept + LEFT_OUT.encode())

    def without(self, before: int, behind: int = KEPT_BEHIND_BYTES) -> LogScan:
        """Return the scan without what lies more than ``behind`` bytes before a byte, in whole characters."""
        drop = min(len(self.kept), max(0, before - behind - self.start))
        while drop < len(self.kept) and _CONTINUES(self.kept[drop]):
            drop += 1
        return replace(self, start=self.start + drop, kept=self.kept[drop:])

    def window(self, start: int) -> LogWindow:
        """Return the piece that holds a byte and what follows, in whole characters; behind the end it is empty."""
        begin = min(max(start - self.start, 0), len(self.kept))
        while 0 < begin < len(self.kept) and _CONTINUES(self.kept[begin]):
            begin -= 1
        text = self.kept[begin : begin + WINDOW_BYTES].decode(errors="ignore")
        return LogWindow(start=self.start + begin, text=text)

    def piece(self, start: int) -> LogWindow:
        """Return the piece of a log that is over which begins at a byte."""
        found = self.window(start)
        is_last = found.start + len(found.text.encode()) == self.end
        return found.model_copy(update={"state": "Ended"}) if is_last else found

    def last(self, start: int) -> LogWindow:
        """Return the piece that begins at a byte and ends the log; later, where one cannot hold so much."""
        found = self.window(max(start, self.end - WINDOW_BYTES + _LONGEST - 1))
        return found.model_copy(update={"state": "Ended"})


def _lines(chunk: str, before: _Key) -> Iterator[tuple[_Key, str]]:
    """Yield each line with its time; one that has none has that of the line before it."""
    key = before
    for line in chunk.removesuffix("\n").split("\n") if chunk else ():
        stamp, found, text = line.partition(" ")
        stated = _key(stamp) if found else None
        if stated is None:
            text = line
        key = stated or key
        yield key, f"{text}\n"


def _key(stamp: str) -> _Key | None:
    """Return a line's time.

    >>> _key("1970-01-01T02:00:01.5+02:00")
    (1, '500000000')
    """
    seconds = from_rfc3339(stamp)
    if seconds is None or seconds < 0:
        return None
    digits = stamp.partition(".")[2]
    length = next((n for n, letter in enumerate(digits) if not letter.isdigit()), len(digits))
    return int(seconds), digits[:length].ljust(_NANO_DIGITS, "0")
