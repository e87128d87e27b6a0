"""When two runs of the same work are equal: by digest within a hardware class, or by a tolerance the job declared.

Floating point gives other bits on other hardware, so unequal digests mean something only within one class. Between
classes, without a comparator, two runs are ``INCOMPARABLE``, which accuses nobody. The tolerance is the job's own and
part of its spec: a constant of ours would be too strict for one kernel and blind for another.

Results come from other institutions: a text that cannot be read is unequal to one that can, never an error.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MAX_RESULT_BYTES = 1 << 20
MAX_DEPTH = 64


class Match(StrEnum):
    """What a comparison finds. The strings are API."""

    EQUAL = "Equal"
    DIFFERENT = "Different"
    INCOMPARABLE = "Incomparable"


@dataclass(frozen=True, slots=True)
class HardwareClass:
    """Runs of one class give the same bits (BOINC calls it homogeneous redundancy)."""

    image_digest: str
    accelerator: str
    """GPU class; empty for work without GPUs."""
    driver_major: int | None
    """Of the accelerator; None: nobody told it, and no run is known to be of the same class."""
    dtype: str
    layout: str
    """How the work is split: workers, GPUs a worker and the parallel layout."""

    def is_same(self, other: HardwareClass) -> bool:
        """Tell whether both are known to be one class."""
        return self == other and self.driver_major is not None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run gave."""

    hardware: HardwareClass
    result_digest: str
    """``sha256:…`` of the result's bytes, as the receipt says."""
    output_digests: tuple[str, ...] = ()
    result: bytes | None = None
    """The result itself, where the comparator needs it and the institution may hand it out."""
    failed: bool = False
    """Whether it failed by its own doing: then it has no result."""

    @property
    def told(self) -> str | None:
        """The result as text, where it is there and what the receipt says."""
        if self.result is None or not _is_whole(self):
            return None
        return self.result.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Comparator:
    """How far the numbers of a JSON result may be apart, and still be equal.

    Raises:
        ValueError: a tolerance that is negative or no number: it would compare nothing, or everything.
    """

    absolute: float = 0.0
    relative: float = 0.0
    """Of the larger of the two numbers."""

    def __post_init__(self) -> None:
        for name in ("absolute", "relative"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"comparator.{name}: {value} is no tolerance; give 0 or more")
        if self.relative >= 1:
            raise ValueError("comparator.relative: 1 or more makes any two numbers equal")

    def holds(self, one: float, other: float) -> bool:
        """Tell whether two numbers are near enough; integers that are too large for a float must be the same."""
        if one == other:
            return True
        try:
            allowed = self.absolute + self.relative * max(abs(one), abs(other))
            return abs(one - other) <= allowed
        except OverflowError:
            return False


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found, and where."""

    match: Match
    why: str


def compare(claimed: Outcome, again: Outcome, comparator: Comparator | None = None) -> Comparison:
    """Compare what a provider claims with what another run gave."""
    if claimed.failed or again.failed:
        return _compare_failures(claimed, again)
    same = (claimed.result_digest, claimed.output_digests) == (
        again.result_digest,
        again.output_digests,
    )
    if same:
        return Comparison(Match.EQUAL, "the digests are the same")
    if comparator is not None:
        return _compare_numbers(claimed, again, comparator)
    if not claimed.hardware.is_same(again.hardware):
        return Comparison(
            Match.INCOMPARABLE,
            "the runs are of different hardware classes, or nobody tells that they are of one; declare spec.comparator, or"
            " audit on the same class",
        )
    which = "result" if claimed.result_digest != again.result_digest else "output"
    return Comparison(Match.DIFFERENT, f"the {which} digests differ on the same hardware class")


def _compare_failures(claimed: Outcome, again: Outcome) -> Comparison:
    """Compare where at least one failed: on which hardware says nothing of whether work can be done."""
    if claimed.failed and again.failed:
        return Comparison(Match.EQUAL, "both failed")
    return Comparison(Match.DIFFERENT, f"the {'first' if claimed.failed else 'second'} failed")


def _compare_numbers(claimed: Outcome, again: Outcome, comparator: Comparator) -> Comparison:
    if again.result is None or not _is_whole(again):
        return Comparison(Match.INCOMPARABLE, "the auditor's result is not there or not as it said")
    if claimed.result is None or not _is_whole(claimed):
        return Comparison(
            Match.DIFFERENT, "the provider's result is not there or not what its receipt says"
        )
    try:
        second = _read(again.result)
    except ValueError as fault:
        return Comparison(Match.INCOMPARABLE, f"the auditor's result is no JSON: {fault}")
    try:
        first = _read(claimed.result)
    except ValueError as fault:
        return Comparison(Match.DIFFERENT, f"the provider's result is no JSON: {fault}")
    apart = next(_differences(first, second, comparator, "result"), None)
    if apart is None:
        return Comparison(Match.EQUAL, "all numbers are within the declared tolerance")
    return Comparison(Match.DIFFERENT, apart)


def _is_whole(outcome: Outcome) -> bool:
    found = hashlib.sha256(outcome.result or b"").hexdigest()
    return f"sha256:{found}" == outcome.result_digest


def _read(text: bytes) -> Any:
    """Return the JSON value.

    Raises:
        ValueError: too large, too deep, not JSON, or not finite.
    """
    if len(text) > MAX_RESULT_BYTES:
        raise ValueError(f"{len(text)} bytes, at most {MAX_RESULT_BYTES} are compared")
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if _is_deep(value):
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    return value


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large")
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _differences(one: Any, other: Any, comparator: Comparator, path: str) -> Iterator[str]:
    """Yield where two values are apart, in the order of the first."""
    if _is_number(one) and _is_number(other):
        if not comparator.holds(one, other):
            yield f"{path[:200]}: {one!r:.40} and {other!r:.40} are further apart than declared"
    elif isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            yield f"{path[:200]}: the names differ"
            return
        for name in one:
            yield from _differences(one[name], other[name], comparator, f"{path}.{name}")
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            yield f"{path[:200]}: {len(one)} and {len(other)} elements"
            return
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _differences(left, right, comparator, f"{path}[{index}]")
    elif type(one) is not type(other) or one != other:
        yield f"{path[:200]}: the values differ"
