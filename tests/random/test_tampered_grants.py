"""No changed grant is accepted: whatever is altered in a signed body, the verifier refuses it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.grants.checks import judge
from tests.residency_kit import EVERYWHERE, stands_in
from tests.seeds import seeds
from tests.unit.grants.grant_kit import authorized, facts, grant, job, policy

CASES_A_SEED = 1000
FULL = authorized(
    job(
        env=[{"name": "MODE", "value": "full"}],
        secrets=[{"name": "token"}],
        residency=stands_in("EU", deny=["LV"]),
        disconnection={"policy": "Continue", "maxUnattendedSeconds": 600},
        result={"maxBytes": 100},
    )
)
GRANT = grant(
    FULL,
    overlays=[{"name": "near", "places": ["LV", "FI"]}],
)
LAW = policy(
    ownerSignature="Required",
    datasets=[
        {
            "name": "cohort",
            "jurisdiction": "EE",
            "claim": "cohort",
            "owners": ["clinic"],
            "residency": EVERYWHERE,
        }
    ],
)


def places_in(value: Any, path: tuple = ()) -> list[tuple]:
    """Return the path of every node of a JSON tree but its root."""
    found = [path] if path else []
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, child in children:
        found += places_in(child, (*path, key))
    return found


PLACES = places_in(GRANT)


def value(rng: np.random.Generator, depth: int = 2) -> Any:
    """Draw a JSON value."""
    kind = int(rng.integers(0, 8 if depth else 6))
    scalars: tuple[Any, ...] = (
        None,
        bool(rng.integers(0, 2)),
        int(rng.integers(-(2**53) + 1, 2**53 - 1)),
        int(rng.integers(-2, 5)),
        float(rng.normal()),
        text(rng),
    )
    if kind < len(scalars):
        return scalars[kind]
    inner = [value(rng, depth - 1) for _ in range(int(rng.integers(0, 3)))]
    return inner if kind == len(scalars) else {text(rng): item for item in inner}


def text(rng: np.random.Generator) -> str:
    """Draw a short text, ASCII for the most part."""
    top = 0x2FF if rng.integers(0, 4) == 0 else 126
    return "".join(chr(int(c)) for c in rng.integers(33, top, int(rng.integers(1, 9))))


def mutated(rng: np.random.Generator) -> dict[str, Any]:
    """Change, remove or add one thing somewhere in the grant."""
    changed = copy.deepcopy(GRANT)
    *path, last = PLACES[int(rng.integers(0, len(PLACES)))]
    parent: Any = changed
    for step in path:
        parent = parent[step]
    kind, old = int(rng.integers(0, 4)), parent[last]
    if kind == 0:
        del parent[last]
    elif kind == 1 and isinstance(old, dict):
        old[text(rng)] = value(rng)
    elif kind > 1 and isinstance(old, str) and old:
        at = int(rng.integers(0, len(old)))
        parent[last] = old[:at] + chr(int(rng.integers(33, 127))) + old[at + 1 :]
    else:
        parent[last] = value(rng)
    return changed


def same(left: Any, right: Any) -> bool:
    try:
        return bool(rfc8785.dumps(left) == rfc8785.dumps(right))
    except (rfc8785.CanonicalizationError, ValueError):
        return False


def test_the_original_is_accepted():
    assert judge(GRANT, LAW, facts()).accepted


@pytest.mark.parametrize("seed", seeds(12))
def test_no_mutation_is_accepted(seed):
    rng = np.random.default_rng(seed)
    for _ in range(CASES_A_SEED):
        changed = mutated(rng)
        if same(changed, GRANT):
            continue
        judgement = judge(changed, LAW, facts())
        assert not judgement.accepted, changed
        assert judgement.objections[0].message


@settings(max_examples=20, deadline=None, database=None)
@given(st.integers(0, 2**32))
def test_junk_is_refused_and_never_raises(seed):
    rng = np.random.default_rng(seed)
    for _ in range(20):
        junk = {text(rng): value(rng) for _ in range(5)}
        assert not judge(junk, LAW, facts()).accepted
