"""What tells the hub and home how the member is: its loop, without what it tells."""

import asyncio
from types import SimpleNamespace

import pytest

from hansa.member import publisher
from hansa.member.scrape_view import ScrapeView
from hansa.model.times import rfc3339
from hansa.reconcile.member.inventory.stock import UNREAD, named
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.member.runs.plain_job import NAMESPACE, RUN, Running, working


@pytest.mark.parametrize("ticks", range(5))
async def test_it_ends_when_it_is_cancelled_just_as_something_changes(monkeypatch, ticks):
    """A deposed agent waits for its duties to end: one that goes on leaves the member without any."""
    context = SimpleNamespace(
        dirty=asyncio.Event(), settings=SimpleNamespace(node="tartu"), signer=None
    )
    monkeypatch.setattr(publisher, "PAUSE_S", 0)
    said = publisher.Publisher(context, release_key="", token_end_s=lambda: None)

    async def publish():
        return

    monkeypatch.setattr(said, "_publish", publish)
    task = asyncio.create_task(said.run())
    for _ in range(10):
        await asyncio.sleep(0)
    context.dirty.set()
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,), timeout=0.2)

    assert task.cancelled()


async def test_a_namespace_that_hangs_is_named_at_home():
    agent = Running()
    metadata = {"name": RUN, "labels": {"hansa.dev/job-uid": "u", "hansa.dev/node": "tartu"}}
    metadata |= {"deletionTimestamp": rfc3339(NOW_S - 600), "finalizers": ["hansa.test/kept"]}
    agent.own.put(NAMESPACE, {"metadata": metadata})
    context = agent.parts.context
    said = publisher.Publisher(context, release_key="", token_end_s=lambda: None)
    async with working(agent):
        said._assess()
    assert said.health.removal.startswith(f"{RUN} is Terminating since ")


async def test_machines_that_are_not_understood_are_named_at_home():
    agent = Running()
    context = agent.parts.context
    labels = {"hansa.dev/jurisdiction": "EE", "kubernetes.io/arch": "amd64"}
    status = {
        "allocatable": {"cpu": "8", "memory": "32Gi", "amd.com/gpu": "8"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    node = {"metadata": {"name": "m1", "labels": labels}, "status": status}
    context.cluster_state.put_machine(node)
    said = publisher.Publisher(context, release_key="", token_end_s=lambda: None)
    said._assess()
    assert said.health.machines == (
        "m1: 8 amd.com/gpu of an unknown product: no label amd.com/gpu.product-name,"
        " nor another that the table of accelerators has"
    )
    rows = {row["type"]: row for row in said._policy_body()["status"]["conditions"]}
    assert rows["MachinesUnderstood"]["status"] == "False"


async def test_what_others_hold_is_taken_off_and_kept_while_an_exporter_is_silent():
    state = Running().parts.context.cluster_state
    labels = {"hansa.dev/jurisdiction": "EE", "kubernetes.io/arch": "amd64"}
    labels |= {"nvidia.com/gpu.product": "NVIDIA-L40S", "nvidia.com/gpu.memory": "46068"}
    status = {
        "allocatable": {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "8"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    state.put_machine({"metadata": {"name": "m1", "labels": labels}, "status": status})
    assert state.inventory({}).stock["nvidia-l40s"].free == 8
    held = {"m1": {"nvidia.com/gpu": 8000}, "of no such machine": {"cpu": 1}}
    assert state.put_others(held)
    assert state.inventory({}).stock["nvidia-l40s"].free == 0
    assert not state.put_others({})
    assert state.inventory({}).stock["nvidia-l40s"].free == 0
    state.drop_machine("m1")
    assert state.others == {}


def test_a_machine_that_no_exporter_reads_is_named():
    state = Running().parts.context.cluster_state
    labels = {"hansa.dev/jurisdiction": "EE", "kubernetes.io/arch": "amd64"}
    status = {
        "allocatable": {"cpu": "8", "memory": "32Gi"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    for name in ("m1", "m2", "m3"):
        state.put_machine({"metadata": {"name": name, "labels": labels}, "status": status})
    assert state.inventory({}).troubles == ()  # nobody was asked yet
    assert state.put_others({"m1": {"cpu": 1}})
    assert state.inventory({}).troubles == (f"m2: {UNREAD}", f"m3: {UNREAD}")
    assert named(state.inventory({}).troubles) == f"m2 and 1 more machines: {UNREAD}"
    state.put_machine({"metadata": {"name": "m3", "labels": {}}, "status": status})
    assert state.inventory({}).troubles == (f"m2: {UNREAD}",)  # m3 takes no run
    assert state.put_others({"m2": {"cpu": 1}})
    assert state.inventory({}).troubles == ()


def test_where_there_is_no_exporter_every_machine_is_named():
    state = Running().parts.context.cluster_state
    labels = {"hansa.dev/jurisdiction": "EE", "kubernetes.io/arch": "amd64"}
    status = {"allocatable": {"cpu": "8"}, "conditions": [{"type": "Ready", "status": "True"}]}
    state.put_machine({"metadata": {"name": "m1", "labels": labels}, "status": status})
    assert state.inventory({}).troubles == ()
    assert state.put_others({})
    assert state.inventory({}).troubles == (f"m1: {UNREAD}",)


@pytest.mark.parametrize("capacity", [{"nvidia.com/gpu": "0"}, {}])
def test_a_machine_that_lost_all_its_cards_is_told_as_a_zero(capacity):
    """After a start without a driver its Node announces none: a series that ends would end the alert."""
    agent = Running()
    context = agent.parts.context
    status = {"capacity": {"cpu": "8", **capacity}, "allocatable": {"cpu": "8", **capacity}}
    context.cluster_state.put_machine({"metadata": {"name": "m1", "labels": {}}, "status": status})
    said = publisher.Publisher(context, release_key="", token_end_s=lambda: None)

    assert ScrapeView(context, said, lambda: None).reading().machine_gpus == {"m1": 0}


OFFERS = {
    "whole cards": ({"nvidia.com/gpu": "8"}, 8),
    "cards whose plugin is away": ({"nvidia.com/gpu": "0"}, 0),
    "slices of two kinds": ({"nvidia.com/mig-1g.10gb": "7", "nvidia.com/mig-3g.40gb": 2}, 9),
    "shared cards": ({"nvidia.com/gpu.shared": "32"}, 32),
    "others' cards": ({"amd.com/gpu": "8", "nvidia.com/hostdev": "4"}, 0),
}


@pytest.mark.parametrize(("allocatable", "offered"), OFFERS.values(), ids=OFFERS)
def test_what_pods_can_ask_for_is_told_beside_it(allocatable, offered):
    context = Running().parts.context
    node = {"metadata": {"name": "m1"}, "status": {"capacity": {}, "allocatable": allocatable}}
    context.cluster_state.put_machine(node)
    said = publisher.Publisher(context, release_key="", token_end_s=lambda: None)

    assert ScrapeView(context, said, lambda: None).reading().offered_gpus == {"m1": offered}
