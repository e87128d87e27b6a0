"""JSON that nobody honest sends: values, and changes to what would be right.

Everything is drawn from a ``random.Random``, so that hypothesis can draw and shrink it and a printed
seed can bring it back.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from random import Random  # noqa: TID251  # hypothesis draws and shrinks it
from typing import Any

from hansa.grants import envelope
from hansa.ports import Signer

LONG = "1" * 5000
DEEPEST = 40
TEXTS = (
    *("", " ", "x", "-", "3", "0x3", "1e3", "NaN", "Infinity", "True", "null", "None", "Stop"),
    *("²", "٣", "１", "е1", "\u202egnp", "a\u0000b", "\ud7ff\ue000", "é", "e\u0301", "🦀" * 70),
    *("../../../../api/v1/secrets", "a/b?c#d", "%2e%2e", "a b", "A", "-x", "x-", ".", "..", "x\ny"),
    *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z", "2026-W01-1"),
    *("overlay/a", "overlay/", "overlay/a" * 40, "World", "EU", "XX", "EE-", "EE-37"),
    *("sha256:" + "0" * 64, "sha256:" + "0" * 63, "AA==", "A" * 256, "=", LONG, "x" * 70_000),
)
NUMBERS = (
    *(0, -1, 1, 2, 3, 255, 1025, 999_999_999, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1),
    *(-(2**63), 0.5, 3.0, -0.0, 1e16, 1e308, 5e-324),
)


def deep(levels: int) -> Any:
    """Return lists and objects inside each other."""
    value: Any = 1
    for level in range(levels):
        value = {"x": value} if level % 2 else [value]
    return value


WIDE: tuple[Callable[[], Any], ...] = (
    lambda: [1] * 20_000,
    lambda: {f"k{i}": i for i in range(20_000)},
    lambda: [{"keyId": "x"}] * 6_000,
    lambda: "x" * 1_000_000,
    lambda: "\u0001" * 90_000,
    lambda: deep(100),
    lambda: deep(300),
    lambda: deep(900),
)


def value(rng: Random, depth: int = 2) -> Any:
    """Draw one JSON value."""
    kind = rng.randrange(12 if depth else 9)
    if kind < 3:
        return rng.choice(NUMBERS)
    if kind < 7:
        return rng.choice(TEXTS)
    if kind < 9:
        return rng.choice((None, True, False, [], {}))
    inner = [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return inner if kind < 11 else {rng.choice(TEXTS): one for one in inner}


def copied(thing: Any) -> Any:
    """Return a copy; what is too deep to be copied is nobody's but ours anyway."""
    try:
        return copy.deepcopy(thing)
    except RecursionError:
        return thing


def places(thing: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value inside ``thing``, as deep as anything honest goes."""
    inner: Any = ()
    if len(path) > DEEPEST:
        return
    if isinstance(thing, dict):
        inner = thing.items()
    elif isinstance(thing, list):
        inner = enumerate(thing)
    for key, child in inner:
        yield (*path, key)
        yield from places(child, (*path, key))


def mutated(rng: Random, thing: Any, *, changes: int = 1, wide: bool = True) -> Any:
    """Return a copy with up to so many changes; ``wide``: some of them very large."""
    changed = copied(thing)
    for _ in range(rng.randint(1, changes)):
        found = list(itertools.islice(places(changed), 2_000))
        if not found:
            return value(rng)
        *path, last = rng.choice(found)
        parent: Any = changed
        for step in path:
            parent = parent[step]
        _change(rng, parent, last, wide=wide)
    return changed


def _change(rng: Random, parent: Any, last: Any, *, wide: bool) -> None:
    old, kind = parent[last], rng.randrange(8)
    if kind == 0:
        del parent[last]
    elif kind == 1:
        parent[last] = _other_type(old)
    elif kind == 2 and isinstance(old, dict):
        old[rng.choice(TEXTS)] = value(rng)
    elif kind == 2 and isinstance(old, list):
        old += [*copied(old), value(rng)]
    elif kind == 3 and isinstance(old, str) and old:
        at = rng.randrange(len(old))
        parent[last] = old[:at] + rng.choice(TEXTS)[:5] + old[at + 1 :]
    elif kind == 4 and wide and rng.randrange(16) == 0:
        parent[last] = rng.choice(WIDE)()
    else:
        parent[last] = value(rng)


def _other_type(old: Any) -> Any:
    """Return the same in another type: what lax readers take for it."""
    match old:
        case bool():
            return int(old)
        case int() | float():
            return str(old)
        case str():
            return [old]
        case list():
            return {str(number): one for number, one in enumerate(old)}
        case dict():
            return [*old.values()]
    return 0


def grant_spec(rng: Random, spec: dict[str, Any], signer: Signer, *, changes: int = 3) -> Any:
    """Return a grant's spec with changes anywhere, validly signed over whatever it says by now."""
    changed = mutated(rng, {k: v for k, v in spec.items() if k != "signatures"}, changes=changes)
    if rng.randrange(3):
        changed |= {"specDigest": digest(changed.get("jobSpec")) or changed.get("specDigest")}
    return signed(changed, signer)


def signed(spec: dict[str, Any], signer: Signer) -> dict[str, Any]:
    """Sign a spec, where what it says can be signed at all."""
    try:
        key_id, signature = envelope.sign(signer, envelope.grant_message(spec))
    except (ValueError, RecursionError):
        key_id, signature = signer.key_id, "AA=="
    return spec | {"signatures": [{"keyId": key_id, "signature": signature}]}


def digest(job: Any) -> str:
    try:
        return envelope.digest(job)
    except (ValueError, RecursionError):
        return ""
