"""A namespace that hangs in its deletion is named, with what holds it."""

from __future__ import annotations

import pytest

from hansa.model.times import rfc3339
from hansa.reconcile.member.node_declaration import Enforcement, Health, policy_status
from hansa.reconcile.member.run_namespace import removal_trouble
from tests.unit.reconcile.member.declarations import declaration

NOW_S = 1_800_000_000.0


def namespace(name: str = "run", *, deleted_s: float | None = None, said: str = ""):
    metadata = {"name": name}
    if deleted_s is not None:
        metadata["deletionTimestamp"] = rfc3339(deleted_s)
    rows = [{"type": "NamespaceFinalizersRemaining", "status": "True", "message": said}]
    return {"metadata": metadata, "status": {"conditions": rows if said else []}}


CASES = {
    "alive": ([namespace()], ""),
    "going": ([namespace(deleted_s=NOW_S - 120)], ""),
    "hangs": (
        [namespace(deleted_s=NOW_S - 121, said="x.dev/kept in 1 resource instances")],
        "run is Terminating since 2027-01-15T07:57:59Z: x.dev/kept in 1 resource instances",
    ),
    "a time that cannot be read": (
        [{"metadata": {"name": "run", "deletionTimestamp": "soon"}}],
        "run is Terminating since soon",
    ),
}


@pytest.mark.parametrize(("namespaces", "expected"), CASES.values(), ids=CASES)
def test_what_hangs_is_named(namespaces, expected):
    assert removal_trouble(namespaces, NOW_S) == expected


def test_few_are_named_and_the_rest_counted():
    many = [namespace(f"run-{n:02d}", deleted_s=NOW_S - 999) for n in range(10)]
    said = removal_trouble(many, NOW_S)
    assert said.startswith("run-00 is")
    assert said.endswith("; and 2 more")


def test_it_is_told_at_home_and_not_to_the_hub_which_would_give_the_node_no_work():
    health = Health(removal="run is Terminating")
    said = Enforcement(1, health, "Denied", "sha256:" + "0" * 64)
    home = policy_status(said, [], now_s=NOW_S)["status"]["conditions"]
    hub = declaration(health=health)["memberConditions"]
    row = next(one for one in home if one["type"] == "RunsRemoved")
    assert (row["status"], row["reason"], row["message"]) == (
        "False", "NamespaceHangs", "run is Terminating",
    )  # fmt: skip
    assert {one["status"] for one in hub} == {"True"}
