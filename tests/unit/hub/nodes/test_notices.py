"""What the planner finds wrong with a node or a pool stands on that object until it is mended."""

from __future__ import annotations

import pytest

from hansa.api.kinds import COMPUTEPOOL, SOVEREIGNNODE
from tests.residency_kit import stands_in
from tests.unit.hub import kit
from tests.unit.reconcile.hub.hub_objects import ACCEPTED

CLINIC = {"institution": "clinic", "nominalGpus": 4}
CIRCLE = [{"name": "a", "places": ["overlay/b"]}, {"name": "b", "places": ["EE", "overlay/a"]}]
TWO_WAYS = [{"name": "a", "places": ["EE"]}, {"name": "b", "places": ["overlay/a"]}]
ONLY_A = stands_in("overlay/a")


@pytest.fixture
def store(clock):
    store = kit.Store(clock)
    kit.node(store, "tartu", kit.lent(machines=2, each=4))
    kit.namespace(store)
    return store


def led(store, clock):
    hub = kit.led(store, clock)
    hub.settle_down()
    return hub


def later(hub):
    hub.clock.now_s += 1
    kit.beat(hub.store, "tartu")
    hub.settle_down()
    told = hub.upkeep()
    hub.hear()
    return told


def conditions(store, path):
    rows = store.objects[path]["status"]["conditions"]
    return {row["type"]: (row["status"], row["reason"], row["message"]) for row in rows}


def placed(store, name):
    rows = store.objects[kit.job_path(name)]["status"]["conditions"]
    return {row["type"]: row["reason"] for row in rows}


POOLS = {
    "caps that leave something": (
        {"caps": [{"dimension": "Operator", "maxPercent": 50}]},
        ("True", "False", "ExceedsConcentrationCap", "at most 4 of 8 GPUs"),
        {"Placed": "Placed"},
        {},
    ),
    "a cap that leaves nothing": (
        {"caps": [{"dimension": "Operator", "maxPercent": 1}]},
        ("False", "False", "ExceedsConcentrationCap", "at most 0 of 8 GPUs"),
        {"Placed": "ExceedsConcentrationCap"},
        {},
    ),
    "a cohort inside itself": (
        {
            "institutions": [CLINIC | {"cohort": "a"}],
            "cohorts": [{"name": "a", "parent": "b"}, {"name": "b", "parent": "a"}],
        },
        ("True", "False", "Misconfigured", "cohort a lies inside itself"),
        {"Placed": "Placed"},
        {"institutions": [CLINIC]},
    ),
    "a circular overlay in the ceiling": (
        {"overlays": CIRCLE, "residency": ONLY_A},
        ("False", "False", "Misconfigured", "the ceiling of pool league is void"),
        {"Accepted": "Accepted", "Placed": "PoolMisconfigured", "Reconciling": "PoolMisconfigured"},
        {"overlays": TWO_WAYS, "residency": ONLY_A},
    ),
    "a circular overlay that no rule uses": (
        {"overlays": CIRCLE},
        ("True", "False", "Misconfigured", "defined through itself"),
        {"Placed": "Placed"},
        {"overlays": TWO_WAYS},
    ),
}


@pytest.mark.parametrize("case", POOLS)
def test_a_pool_says_what_is_wrong_with_it_until_it_is_mended(store, clock, case):
    spec, (ready, sound, reason, words), job, mended = POOLS[case]
    path = COMPUTEPOOL.path(name="league")
    kit.pool(store, **spec)
    hub = led(store, clock)
    kit.submit(store, "a", **kit.gpus(1))
    assert later(hub) == [reason]
    rows = conditions(store, path)
    assert (rows["Ready"][0], *rows["Sound"][:2]) == (ready, sound, reason)
    assert words in rows["Sound"][2]
    assert job.items() <= placed(store, "a").items()
    assert "Stalled" not in placed(store, "a")

    version = store.objects[path]["metadata"]["resourceVersion"]
    if placed(store, "a")["Placed"] != "Placed":
        assert later(hub) == []
        assert store.objects[path]["metadata"]["resourceVersion"] == version

    kit.pool(store, **mended)
    assert later(hub) == []
    rows = conditions(store, path)
    assert (rows["Ready"][:2], rows["Sound"][:2]) == (("True", "Ready"), ("True", "Sound"))
    later(hub)
    assert placed(store, "a")["Placed"] == "Placed"


def test_a_job_that_uses_a_broken_overlay_is_not_blamed(store, clock):
    kit.pool(store, overlays=CIRCLE)
    hub = led(store, clock)
    kit.submit(store, "a", residency=ONLY_A, **kit.gpus(1))
    kit.submit(store, "b", residency=stands_in("overlay/c"), **kit.gpus(1))
    later(hub)
    later(hub)
    assert placed(store, "a")["Placed"] == "PoolMisconfigured"
    assert placed(store, "b")["Stalled"] == "UnknownJurisdiction"


SHRUNK = {
    "machines are gone": (kit.lent(machines=1, each=4), "False", "nothing new starts there"),
    "it lends less": (
        kit.lent(machines=2, each=4)
        | {"inventory": [{"gpuClass": "nvidia-l40s", "memory": "48Gi", "total": 3}]},
        "True",
        "(5 GPUs, 0 pods too many); new work gets only what is left",
    ),
    "everything is gone": (
        {**kit.lent(), "inventory": [], "shapes": []},
        "False",
        "nothing new starts there",
    ),
}


@pytest.mark.parametrize("case", SHRUNK)
def test_a_node_that_runs_more_than_it_has_says_so_until_that_ends(store, clock, case):
    status, ready, words = SHRUNK[case]
    path = SOVEREIGNNODE.path(name="tartu")
    kit.pool(store)
    hub = led(store, clock)
    kit.submit(store, "runs", **kit.gpus(2, 4))
    later(hub)
    (grant,) = kit.grants(store)
    kit.answer(store, grant, ACCEPTED)
    later(hub)
    assert conditions(store, path)["Sound"][:2] == ("True", "Sound")

    kit.node(store, "tartu", status)
    later(hub)
    rows = conditions(store, path)
    assert (rows["Ready"][0], *rows["Sound"][:2]) == (ready, "False", "ExceedsNodeShape")
    assert words in rows["Sound"][2]

    kit.node(store, "tartu", kit.lent(machines=2, each=4))
    assert later(hub) == []
    rows = conditions(store, path)
    assert (rows["Ready"][0], rows["Sound"][:2]) == ("True", ("True", "Sound"))


def test_nothing_is_said_before_the_first_plan(store, clock):
    """What another replica found stays until this one has looked itself."""
    kit.pool(store)
    hub = kit.led(store, clock)
    assert hub.upkeep() == []
    assert "conditions" not in store.objects[SOVEREIGNNODE.path(name="tartu")]["status"]
