"""Two leaders over one store: each job has one, each node has one, and what has two stands still."""

from __future__ import annotations

import pytest

from hansa.api.kinds import COMPUTEPOOL, SOVEREIGNNODE
from hansa.hub.object_key import ObjectKey
from hansa.hub.scrape_view import ScrapeView
from hansa.model.times import rfc3339
from hansa.reconcile.fencing import sign_release
from hansa.reconcile.hub.actions import CancelOrphan, EnsureNodeAccess
from hansa.reconcile.hub.leaders.division import Division
from hansa.reconcile.hub.status.whole_conditions import by_type
from tests.unit.hub import kit
from tests.unit.hub.driving import Elected, driven
from tests.unit.reconcile.hub.hub_objects import ACCEPTED, condition

NORTH = frozenset({"north"})
DIVISIONS = {"north": Division(own=NORTH), "main": Division(claims={"north": NORTH})}
GPUS = 8


@pytest.fixture
def store(clock):
    store = kit.Store(clock)
    kit.namespace(store)
    kit.pool(store, "north", nodes={"names": ["narva"]})
    kit.pool(store, "south", nodes={"names": ["sofia"]})
    for name in ("narva", "sofia"):
        kit.node(store, name, kit.lent(machines=1, each=GPUS))
    return store


@pytest.fixture
def hubs(store, clock):
    return {name: kit.led(store, clock, division) for name, division in DIVISIONS.items()}


def go_on(hubs, times=4):
    for _ in range(times):
        for hub in hubs.values():
            hub.clock.now_s += 1
            for name in hub.caches.nodes:
                kit.beat(hub.store, name)
            hub.hear()
            driven(hub.controller.tick())
            hub.plans.full_due()
            hub.settle_down()
            hub.upkeep()


def granted(store):
    """Job → its node, of all grants; no job has two."""
    found = {}
    for grant in kit.grants(store).values():
        job = grant["spec"]["job"]["name"]
        assert job not in found
        found[job] = grant["spec"]["node"]
    return found


def told(store, name):
    return store.objects[kit.job_path(name)].get("status") or {}


def ready(store, node):
    thing = store.objects[SOVEREIGNNODE.path(name=node)]
    row = by_type((thing.get("status") or {}).get("conditions")).get("Ready", {})
    return row.get("status"), row.get("reason")


def test_each_job_is_granted_once_by_the_leader_of_its_pool(store, hubs):
    for number in range(GPUS):
        kit.submit(store, f"n{number}", pool="north", **kit.gpus(1))
        kit.submit(store, f"s{number}", pool="south", **kit.gpus(1))
    go_on(hubs)

    found = granted(store)
    assert len(found) == 2 * GPUS
    assert all(node == {"n": "narva", "s": "sofia"}[job[0]] for job, node in found.items())
    assert {len(hub.caches.jobs) for hub in hubs.values()} == {GPUS}
    assert (ready(store, "narva"), ready(store, "sofia")) == (("True", "Ready"),) * 2
    sites = {name: {s.name for s in hub.plans.snapshot.sites} for name, hub in hubs.items()}
    assert sites == {"north": {"narva"}, "main": {"sofia"}}


def test_what_names_no_pool_that_there_is_is_told_by_the_main_hub(store, hubs):
    kit.submit(store, "lost", pool="nroth")
    go_on(hubs)
    assert len(hubs["north"].caches.jobs) == 0
    row = by_type(told(store, "lost")["conditions"])["Placed"]
    assert row["reason"] == "UnknownPool"
    assert row["message"].endswith("there are: north, south")


def test_a_pool_that_is_gone_is_still_its_leaders_to_tell(store, hubs):
    store.remove(COMPUTEPOOL.path(name="north"))
    kit.submit(store, "late", pool="north")
    go_on(hubs)
    assert len(hubs["main"].caches.jobs) == 0
    assert by_type(told(store, "late")["conditions"])["Placed"]["reason"] == "UnknownPool"


@pytest.mark.parametrize("pool", ["north", "south"])
def test_a_node_in_pools_of_two_leaders_takes_no_work_and_says_why(store, hubs, pool):
    kit.node(store, "tartu", kit.lent(machines=1, each=2 * GPUS))
    for name, nodes in (("north", ["narva", "tartu"]), ("south", ["sofia", "tartu"])):
        kit.pool(store, name, nodes={"names": nodes})
    kit.submit(store, "big", pool=pool, **kit.gpus(1, 2 * GPUS))
    go_on(hubs)

    assert granted(store) == {}
    assert ready(store, "tartu") == ("False", "NodeOfTwoLeaders")
    (row,) = [row for row in told(store, "big")["verdicts"] if row["node"] == "tartu"]
    assert row["reason"] == "NodeOfTwoLeaders"
    assert "north, south" in row["message"]

    other = {"north": "south", "south": "north"}[pool]
    own = {"north": "narva", "south": "sofia"}[other]
    kit.pool(store, other, nodes={"names": [own]})
    go_on(hubs)
    assert granted(store) == {"big": "tartu"}
    assert ready(store, "tartu") == ("True", "Ready")


def test_rights_and_status_of_a_node_are_one_leaders(store, hubs):
    kit.node(store, "spare", kit.lent())
    kit.node(store, "shared", kit.lent())
    kit.pool(store, "north", nodes={"names": ["narva", "shared"]})
    kit.pool(store, "south", nodes={"names": ["sofia", "shared"]})
    for hub in hubs.values():
        hub.hear()
        hub.plan()
    keepers = {"narva": "north", "sofia": "main", "spare": "main", "shared": "main"}
    for name, keeper in keepers.items():
        due = {who: hub.controller.derive(ObjectKey("node", name)) for who, hub in hubs.items()}
        assert [who for who, actions in due.items() if actions] == [keeper]
        assert any(isinstance(action, EnsureNodeAccess) for action in due[keeper])


def test_rights_of_a_node_that_was_made_anew_are_not_cleared_away(store, hubs):
    hub = hubs["main"]
    go_on(hubs, 1)
    store.remove(SOVEREIGNNODE.path(name="sofia"))
    hub.hear()
    (revoke,) = hub.controller.derive(ObjectKey("node", "sofia"))
    kit.node(store, "sofia", kit.lent())
    assert not driven(hub.executor.run([revoke])).ok
    assert "/api/v1/namespaces/hansa-node-sofia" in store.access


def test_a_job_goes_to_another_leader_with_its_pool(store, hubs):
    kit.submit(store, "moves", pool="north", **kit.gpus(1, 2 * GPUS))
    go_on(hubs)
    assert granted(store) == {}
    kit.respec(store, kit.job_path("moves"), pool="south", **kit.gpus(1))
    go_on(hubs)
    assert granted(store) == {"moves": "sofia"}
    assert [len(hub.caches.jobs) for hub in hubs.values()] == [0, 1]


def test_the_end_of_a_run_whose_job_has_moved_to_another_leader_is_recorded_once(
    store, hubs, clock
):
    kit.submit(store, "moves", pool="north", **kit.gpus(1))
    go_on(hubs)
    (path,) = kit.grants(store)
    kit.answer(store, path, ACCEPTED)
    kit.respec(store, kit.job_path("moves"), pool="south", **kit.gpus(1))
    go_on(hubs)
    uid = store.objects[path]["spec"]["job"]["uid"]
    release = sign_release(kit.SIGNER, node="narva", job_uid=uid, epoch=1, now_s=clock.now())
    ends = [*ACCEPTED["conditions"], condition("Succeeded")]
    kit.answer(store, path, {**ACCEPTED, "conditions": ends, "release": release})
    # The leader that lost the job hears of it first.
    go_on(hubs)

    assert by_type(told(store, "moves")["conditions"])["Succeeded"]["status"] == "True"
    assert told(store, "moves")["epoch"] == 1
    assert granted(store) == {}


def test_room_is_held_by_what_another_leader_granted_on_a_node_that_has_moved(store, hubs):
    kit.submit(store, "runs", pool="north", **kit.gpus(1, GPUS))
    go_on(hubs)
    (path,) = kit.grants(store)
    kit.answer(store, path, ACCEPTED)
    kit.pool(store, "north", nodes={"names": ["elsewhere"]})
    kit.pool(store, "south", nodes={"names": ["narva"]})
    kit.submit(store, "comes", pool="south", **kit.gpus(1))
    go_on(hubs)

    assert granted(store) == {"runs": "narva"}
    assert store.objects[path]["spec"]["cancel"] == "None"
    store.remove(path)
    store.remove(kit.job_path("runs"))
    go_on(hubs)
    assert granted(store) == {"comes": "narva"}


def test_what_is_left_of_a_job_that_is_gone_is_ended_by_its_leader_alone(store, hubs):
    kit.submit(store, "runs", pool="north", **kit.gpus(1))
    go_on(hubs)
    (path,) = kit.grants(store)
    kit.answer(store, path, ACCEPTED)
    store.remove(kit.job_path("runs"))
    for hub in hubs.values():
        hub.hear()
    uid = store.objects[path]["spec"]["job"]["uid"]
    due = {who: hub.controller.derive(ObjectKey("job", uid)) for who, hub in hubs.items()}
    assert [type(action) for action in due["north"]] == [CancelOrphan]
    assert due["main"] == ()
    assert [*hubs["main"].caches.orphans()] == []


@pytest.mark.parametrize("spent", ["10", None])
def test_a_project_is_closed_to_all_leaders_at_once(store, hubs, clock, spent):
    times = {"begin": rfc3339(clock.now() - 10), "end": rfc3339(clock.now() + 3600)}
    budget = {"limit": "10", "currency": "EUR"}
    meta = {"name": "study", "namespace": "clinic", "uid": "p1", "generation": 1}
    told_spent = {"spent": {"amount": spent, "currency": "EUR"}} if spent else {}
    project = {"kind": "Project", "metadata": meta, "status": told_spent}
    spec = {"purpose": "screening", "budget": budget, **times}
    store.put("/projects/study", project | {"spec": spec})
    for pool in ("north", "south"):
        kit.submit(store, f"in-{pool}", pool=pool, project="study", **kit.gpus(1))
    go_on(hubs)

    assert granted(store) == {}
    for pool in ("north", "south"):
        row = by_type(told(store, f"in-{pool}")["conditions"])["Placed"]
        assert row["reason"] == "ProjectOverBudget"


def test_scrapes_of_two_leaders_add_up(store, hubs):
    for pool in ("north", "south"):
        kit.submit(store, f"in-{pool}", pool=pool, **kit.gpus(1))
    go_on(hubs)
    readings = [read(hub) for hub in hubs.values()]
    for kind, there_are in {"SovereignNode": 2, "ComputePool": 2, "AIJob": 2}.items():
        ready_or_placed = "Placed" if kind == "AIJob" else "Ready"
        counted = [
            count
            for reading in readings
            for labels, count in reading.objects.items()
            if labels[:2] == (kind, ready_or_placed)
        ]
        assert sum(counted) == there_are
    assert sum(len(reading.node_lease_age_s) for reading in readings) == 2
    assert sum(gpu.total for reading in readings for gpu in reading.gpus) == 2 * GPUS
    assert sum(count for reading in readings for count in reading.jobs.values()) == 2


def read(hub):
    clock, queue = hub.clock, hub.queue
    view = ScrapeView(hub.caches, hub.pricing, queue, clock=clock, election=Elected(), events={})
    return view.reading()
