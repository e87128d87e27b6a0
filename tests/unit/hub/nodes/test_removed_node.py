"""A node that leaves the league: what it holds is free by its release, or by time, and no sooner."""

from __future__ import annotations

import pytest

from hansa.adapters.keys import Ed25519Signer
from hansa.api.kinds import SOVEREIGNNODE
from hansa.model.times import rfc3339
from hansa.reconcile.fencing import sign_release
from tests.unit.hub import kit
from tests.unit.hub.nodes.removed_nodes import STUDY, UNATTENDED_S, wait
from tests.unit.reconcile.hub.hub_objects import SKEW_S, condition

THIEF = Ed25519Signer.generate()


@pytest.fixture
def store(clock):
    return kit.one_job(clock)


def status(store):
    return store.objects[STUDY]["status"]


def said(store, kind):
    rows = {row["type"]: row for row in status(store)["conditions"]}
    return rows[kind]["status"], rows[kind]["reason"]


def leaves(store, clock, *, grant_too):
    """The node runs the job and is removed, maybe with its namespace; another joins."""
    hub = kit.led(store, clock)
    wait(hub)
    (path,) = kit.grants(store)
    at = rfc3339(clock.now())
    running = {"acceptedAt": at, "runningAt": at}
    running["conditions"] = [condition("Accepted"), condition("Running")]
    kit.answer(store, path, running)
    wait(hub, 60)
    kit.beat(store, "tartu")
    store.remove(SOVEREIGNNODE.path(name="tartu"))
    if grant_too:
        store.remove(path)
        store.remove(next(p for p, thing in store.objects.items() if thing["kind"] == "Lease"))
    kit.node(store, "riga", kit.lent())
    wait(hub)
    assert status(store)["node"] == "tartu"
    return hub, path, clock.now_s


@pytest.mark.parametrize("grant_too", [False, True])
def test_it_is_free_once_the_unattended_limit_has_run_out_and_no_sooner(store, clock, grant_too):
    hub, _, left_s = leaves(store, clock, grant_too=grant_too)
    assert said(store, "Placed") == ("Unknown", "NodeRemoved")
    assert said(store, "Reconciling") == ("True", "WaitingForRelease")

    while clock.now_s < left_s + UNATTENDED_S + SKEW_S - 60:
        wait(hub, 50, 1)
        assert status(store)["node"] == "tartu"
    wait(hub, 60, 4)

    assert (status(store)["node"], status(store)["epoch"]) == ("riga", 2)


def test_writes_stop_while_it_is_waited_for(store, clock):
    hub, _, _ = leaves(store, clock, grant_too=True)
    wait(hub)
    version = store.version
    wait(hub, 60, 5)
    assert store.version == version + 5, "heartbeats alone"


WORDS = {"its own": (kit.SIGNER, True), "another's": (THIEF, False)}


@pytest.mark.parametrize("case", WORDS)
@pytest.mark.parametrize("pinned", ["gone", "another key"])
def test_the_release_it_signed_counts_by_the_key_its_grant_names(store, clock, case, pinned):
    signer, counts = WORDS[case]
    hub, path, _ = leaves(store, clock, grant_too=False)
    if pinned == "another key":
        kit.node(store, "tartu", kit.lent(), releaseKey="x" * 43 + "=", scheduling="Cordoned")
        wait(hub)
    grant = store.objects[path]
    uid, now_s = grant["spec"]["job"]["uid"], clock.now()
    word = sign_release(signer, node="tartu", job_uid=uid, epoch=1, now_s=now_s)
    kit.answer(store, path, {**grant["status"], "release": word})
    wait(hub)

    assert status(store)["node"] == ("riga" if counts else "tartu")
