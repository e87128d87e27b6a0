"""A ledger that was taken over, on a real API server: of a node it says how far it took receipts, no more."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import KubectlError
from tests.apiserver.charts.charted import SYSTEM, Charted, bare, hub_installed
from tests.apiserver.crds.bases import BASES, LATE

pytestmark = pytest.mark.apiserver

LEDGER = f"system:serviceaccount:{SYSTEM}:hansa-ledger"
STATUS = BASES["SovereignNode"]["status"]


@pytest.fixture(scope="module")
def hub(binaries: Binaries) -> Iterator[Charted]:
    with hub_installed(binaries) as charted:
        node = bare("SovereignNode")
        node["metadata"]["name"] = "tartu"
        charted.apply(node)
        _patch(charted, STATUS, user="")
        yield charted


def _patch(hub: Charted, status: dict, *, user: str = LEDGER) -> str:
    text = json.dumps({"status": status})
    what = ("patch", "sovereignnode/tartu", "--subresource=status", "--type=merge", "-p", text)
    return hub.kubectl(*what, user=user)


def test_it_says_how_far_it_took_receipts(hub: Charted):
    for sequence in (2, 3):
        _patch(hub, {"receipts": {"taken": STATUS["receipts"]["taken"] | {"sequence": sequence}}})
    held = json.loads(hub.kubectl("get", "sovereignnode/tartu", "-o", "json"))["status"]

    assert held["receipts"]["taken"]["sequence"] == 3
    assert held["receipts"]["outbox"] == STATUS["receipts"]["outbox"]


OTHERS = {
    "conditions": {"conditions": []},
    "what a member declares": {"declaredJurisdiction": "LV"},
    "its heartbeat": {"lastHeartbeatTime": LATE},
    "a field taken away": {"switch": None},
    "receipts on their way": {"receipts": {"outbox": []}},
    "how many wait": {"receipts": {"waiting": 7}},
    "all that is said of receipts": {"receipts": None},
}


@pytest.mark.parametrize("status", OTHERS.values(), ids=OTHERS)
def test_and_nothing_else_of_a_node(hub: Charted, status: dict):
    with pytest.raises(KubectlError, match=r"the ledger writes status\.receipts\.taken"):
        _patch(hub, status)


def test_nor_its_spec(hub: Charted):
    text = json.dumps({"spec": {"accepted": "Accepted"}})
    with pytest.raises(KubectlError, match="is forbidden"):
        hub.kubectl("patch", "sovereignnode/tartu", "--type=merge", "-p", text, user=LEDGER)
