"""What may leave of a run: a table over data sets, tenants and the institution's own rule."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.grants.exports.permits import Subject, exportable
from tests.residency_kit import EVERYWHERE
from tests.unit.grants.grant_kit import FOREIGN, OWNER, policy

ALLOW, WAIT, DENY = ({"result": verdict} for verdict in ("Allow", "OnRelease", "Deny"))


def dataset(name: str, exports: dict[str, str] | None, *owners: str) -> dict[str, Any]:
    held = {
        "name": name,
        "jurisdiction": "EE",
        "claim": name,
        "owners": list(owners),
        "residency": EVERYWHERE,
    }
    return held if exports is None else held | {"exports": exports}


def tenant(exports: dict[str, str]) -> dict[str, Any]:
    return {"tenantExports": [{"tenant": "hospital"} | exports]}


def sets(*held: dict[str, Any]) -> dict[str, Any]:
    return {"datasets": list(held)}


A, B, NO_RULE = dataset("a", ALLOW), dataset("b", DENY), dataset("c", None)
HELD = dataset("d", WAIT, "clinic")
OPEN, CLOSED = {"exports": ALLOW}, {"exports": DENY}

CASES: dict[str, tuple[dict[str, Any], tuple[str, ...], str, str]] = {
    "nothing said": ({}, (), "Deny", "spec.exports.result: Deny"),
    "the institution allows, no data": (OPEN, (), "Allow", "spec.exports.result: Allow"),
    "a data set without a rule is under the institution's": (
        OPEN | sets(NO_RULE),
        ("c",),
        "Allow",
        "spec.exports.result: Allow",
    ),
    "and denied by default": (sets(NO_RULE), ("c",), "Deny", "spec.exports.result: Deny"),
    "a data set's own rule stands in its place": (
        CLOSED | sets(A),
        ("a",),
        "Allow",
        "spec.datasets[a].exports.result: Allow",
    ),
    "in both directions": (OPEN | sets(B), ("b",), "Deny", "spec.datasets[b].exports.result: Deny"),
    "the strictest of two": (
        OPEN | sets(A, B),
        ("a", "b"),
        "Deny",
        "spec.datasets[b].exports.result: Deny",
    ),
    "whatever their order": (
        OPEN | sets(A, B),
        ("b", "a"),
        "Deny",
        "spec.datasets[b].exports.result: Deny",
    ),
    "one with a rule, one without": (
        CLOSED | sets(A, NO_RULE),
        ("a", "c"),
        "Deny",
        "spec.exports.result: Deny",
    ),
    "waiting is stricter than allowing": (
        OPEN | sets(A, HELD),
        ("a", "d"),
        "OnRelease",
        "spec.datasets[d].exports.result: OnRelease",
    ),
    "and less strict than denying": (
        OPEN | sets(B, HELD),
        ("d", "b"),
        "Deny",
        "spec.datasets[b].exports.result: Deny",
    ),
    "one that is not read does not count": (OPEN | sets(A, B), ("a",), "Allow", "datasets[a]"),
    "one that is not held any more": (OPEN, ("gone",), "Deny", "spec.datasets has no gone"),
    "a tenant's rule narrows": (
        sets(A) | tenant(DENY),
        ("a",),
        "Deny",
        "spec.tenantExports[hospital].result: Deny",
    ),
    "and never widens": (sets(B) | tenant(ALLOW), ("b",), "Deny", "datasets[b]"),
    "nor what the institution says of a data set": (
        sets(NO_RULE) | tenant(ALLOW),
        ("c",),
        "Deny",
        "spec.exports.result: Deny",
    ),
    "without data it stands for the institution's": (
        CLOSED | tenant(ALLOW),
        (),
        "Allow",
        "spec.tenantExports[hospital].result: Allow",
    ),
    "another tenant's rule does not count": (
        OPEN | {"tenantExports": [{"tenant": "bank"} | DENY]},
        (),
        "Allow",
        "spec.exports.result: Allow",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_may_leave(case):
    law, datasets, verdict, rule = CASES[case]

    may = exportable(Subject("hospital", datasets), policy(**{"datasets": []} | law))

    assert may.result.verdict == verdict
    assert rule in may.result.rule


def test_logs_go_by_their_own_rule():
    loud = dataset("a", {"result": "Deny", "logs": "Allow"})
    quiet = dataset("b", {"result": "Allow", "logs": "Deny"})
    law = policy(datasets=[loud, quiet])

    assert exportable(Subject("hospital", ("a",)), law).logs.verdict == "Allow"
    both = exportable(Subject("hospital", ("a", "b")), law)
    assert (both.result.verdict, both.logs.verdict) == ("Deny", "Deny")
    assert both.logs.rule == "spec.datasets[b].exports.logs: Deny"


# Rules of two data sets → what counts, whether the last lines may leave, whether more may.
LOGS: dict[str, tuple[tuple[str, str], str, bool, bool]] = {
    "all": (("Allow", "Allow"), "Allow", True, True),
    "the tail is stricter than all": (("Allow", "Tail"), "Tail", True, False),
    "whatever their order": (("Tail", "Allow"), "Tail", True, False),
    "and less strict than nothing": (("Tail", "Deny"), "Deny", False, False),
}


@pytest.mark.parametrize("case", LOGS)
def test_of_a_log_the_narrowest_rule_counts(case):
    (first, second), verdict, tail, whole = LOGS[case]
    law = policy(**sets(dataset("a", {"logs": first}), dataset("b", {"logs": second})))

    may = exportable(Subject("hospital", ("a", "b")), law)

    assert (may.logs.verdict, may.shows_tail, may.shows_log) == (verdict, tail, whole)


def test_without_a_policy_nothing_leaves():
    may = exportable(Subject("hospital", ()), None)

    assert (may.result.verdict, may.logs.verdict) == ("Deny", "Deny")


TWO = [
    {"name": "clinic", "publicKey": OWNER.public_key},
    {"name": "registry", "publicKey": FOREIGN.public_key},
]
RELEASERS: dict[str, tuple[dict[str, Any], tuple[str, ...], list[tuple[str, set[str]]]]] = {
    "an owner of the data set": (sets(HELD), ("d",), [("data set d", {OWNER.key_id})]),
    "one of each that waits": (
        sets(HELD, dataset("e", WAIT, "registry")),
        ("d", "e"),
        [("data set d", {OWNER.key_id}), ("data set e", {FOREIGN.key_id})],
    ),
    "nobody of one that is allowed": (
        sets(HELD, dataset("a", ALLOW, "registry")),
        ("a", "d"),
        [("data set d", {OWNER.key_id})],
    ),
    "any owner for the institution's own rule": (
        {"exports": WAIT},
        (),
        [("spec.exports", {OWNER.key_id, FOREIGN.key_id})],
    ),
    "the data set's owners under the institution's rule": (
        {"exports": WAIT} | sets(dataset("e", None, "registry")),
        ("e",),
        [("data set e", {FOREIGN.key_id})],
    ),
    "nobody where the owner's key is gone": (
        sets(dataset("d", WAIT, "nobody")),
        ("d",),
        [("data set d", set())],
    ),
}


@pytest.mark.parametrize("case", RELEASERS)
def test_who_has_to_sign_a_release(case):
    law, datasets, expected = RELEASERS[case]

    may = exportable(
        Subject("hospital", datasets), policy(**{"datasets": []} | law, trustedOwners=TWO)
    )

    assert [(one.whose, set(one.keys)) for one in may.releasers] == expected
