"""A job that names no project is granted on its namespace's default one, under the hub's signature."""

from __future__ import annotations

import pytest

from hansa.grants.envelope import grant_message, signature_holds
from hansa.model.times import rfc3339
from tests.unit.hub import kit
from tests.unit.hub.driving import driven

CHARGED = {
    "the default": ({"hansa.dev/default-project": "screening"}, {}, "screening"),
    "the one it names": (
        {"hansa.dev/default-project": "other"},
        {"project": "screening"},
        "screening",
    ),
    "none": ({}, {}, None),
}


def open_project(store, clock):
    """Have the namespace a project that may spend for an hour."""
    meta = {"name": "screening", "namespace": "clinic", "uid": "p1", "generation": 1}
    times = {"begin": rfc3339(clock.now() - 10), "end": rfc3339(clock.now() + 3600)}
    budget = {"limit": "10", "currency": "EUR"}
    body = {"spec": {"purpose": "screening", "budget": budget, **times}}
    spent = {"status": {"spent": {"amount": "1", "currency": "EUR"}}}
    store.put("/projects/screening", {"kind": "Project", "metadata": meta, **body, **spent})


@pytest.mark.parametrize("case", CHARGED.values(), ids=CHARGED)
def test_a_grant_says_which_project_is_charged(clock, case):
    annotations, spec, project = case
    store = kit.one_job(clock)
    path = "/namespaces/clinic"
    space = store.objects[path]
    store.put(path, space | {"metadata": space["metadata"] | {"annotations": annotations}})
    open_project(store, clock)
    kit.respec(store, kit.job_path("study"), **spec)

    hub = kit.led(store, clock)
    for _ in range(3):
        driven(hub.controller.tick())
        kit.later(hub)

    (grant,) = kit.grants(store).values()
    assert grant["spec"].get("project") == project
    (signature,) = grant["spec"]["signatures"]
    said = grant_message(grant["spec"])
    assert signature_holds(kit.SIGNER.public_key, said, signature["signature"])


def test_a_project_that_is_deleted_lets_running_work_go_on_and_nothing_start(clock):
    """The run is charged to the project that its grant names under the hub's signature, there or not."""
    store = kit.one_job(clock)
    open_project(store, clock)
    kit.respec(store, kit.job_path("study"), project="screening")
    hub = kit.led(store, clock)
    hub.settle_down()
    (running,) = kit.grants(store).values()
    kit.erase(store, "/projects/screening")
    kit.submit(store, "later", project="screening")
    for _ in range(3):
        driven(hub.controller.tick())
        kit.later(hub)
    (still,) = kit.grants(store).values()
    assert still["spec"] == running["spec"]
    assert still["spec"]["project"] == "screening"
    said = store.objects[kit.job_path("later")]["status"]["conditions"]
    assert {one["reason"] for one in said} >= {"UnknownProject"}
    assert any("has no project screening" in one["message"] for one in said)
    mine = store.objects[kit.job_path("study")]["status"]
    assert mine["node"] == still["spec"]["node"]
    assert "UnknownProject" not in {one["reason"] for one in mine["conditions"]}
