"""The hub process: what happens when one of its tasks fails that never should."""

import asyncio
import logging
import subprocess
import sys

import pytest
from prometheus_client import generate_latest

from e2e.testbed.host.clock import PATIENCE_S
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.config import Connection
from hansa.hub.app import Hub
from hansa.hub.kopf_handlers import feed_caches
from hansa.hub.settings import HubSettings
from hansa.process.app import TaskFailed
from hansa.process.lean_kopf import kopf


@pytest.fixture
def settings(tmp_path):
    key = tmp_path / "hub.key"
    key.write_bytes(Ed25519Signer.generate().private_pem())
    return HubSettings(
        grants={"key_file": str(key)}, serving={"health_port": 0, "bind": "127.0.0.1"}
    )


SKEWS = {
    "not known yet": (None, True),
    "none": (0.4, True),
    "as much as is allowed": (-60.0, True),
    "an hour ahead": (-3600.0, False),
    "behind": (61.0, False),
}


@pytest.mark.parametrize("case", SKEWS)
async def test_a_hub_whose_clock_is_wrong_does_not_lead_and_says_so(settings, case):
    skew_s, leads = SKEWS[case]
    hub = Hub(settings, Connection(server="http://127.0.0.1:1", namespace="hansa"))
    hub._primed = True
    for mirror in hub.caches.reflectors:
        mirror._synced.set()
    hub.election._unopposed_until = float("inf")
    (candidacy,) = hub.election._elections
    candidacy._valid_until = float("inf")
    hub.cluster._time.skew_s = skew_s

    assert hub.election.still_leader() is leads
    assert hub.executor._still_leader() is leads
    assert ("differs from the API server's by" in hub.unready()) is not leads
    page = generate_latest(hub.instruments.registry).decode()
    shown = f"hansa_hub_clock_skew_seconds {skew_s}" in page
    assert shown is (skew_s is not None)


async def test_a_task_that_fails_ends_the_hub_and_is_named(settings, caplog, monkeypatch):
    hub = Hub(settings, Connection(server="http://127.0.0.1:1", namespace="hansa"))

    async def fails():
        raise ZeroDivisionError("never should")

    monkeypatch.setattr(hub.recorder, "run", fails)

    with pytest.raises(TaskFailed, match="fails"):
        await asyncio.wait_for(hub.live(), PATIENCE_S)

    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "fails" in record.task
    assert record.exc_info[0] is ZeroDivisionError


async def test_what_there_is_by_the_thousand_does_not_come_through_kopf(settings):
    hub = Hub(settings, Connection(server="http://127.0.0.1:1", namespace="hansa"))
    registry = kopf.OperatorRegistry()
    feed_caches(registry, hub.caches)

    fed = {handler.id for handler in registry._watching.get_all_handlers()}
    followed = {mirror.path.rpartition("/")[2] for mirror in hub.caches.reflectors}

    assert fed == {"computepools", "projects"}
    assert followed == {"aijobs", "workgrants", "leases", "sovereignnodes", "namespaces"}


def test_a_hub_loads_no_solver_compiler_or_client_before_it_needs_them():
    """Each takes a second of CPU and more, which the first grant would wait for."""
    code = "import sys, hansa.hub.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert b"hansa.placement.pricing.shadow_prices" in loaded.split()
    assert not {b"scipy", b"numba", b"kubernetes"} & {*loaded.split()}
