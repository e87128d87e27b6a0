"""The hub process: what happens when one of its tasks fails that never should."""

import asyncio
import logging

import pytest

from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.config import Connection
from hansa.hub.app import Hub
from hansa.hub.settings import HubSettings
from hansa.process.app import TaskFailed


@pytest.fixture
def settings(tmp_path):
    key = tmp_path / "hub.key"
    key.write_bytes(Ed25519Signer.generate().private_pem())
    return HubSettings(
        grants={"key_file": str(key)}, serving={"health_port": 0, "bind": "127.0.0.1"}
    )


async def test_a_task_that_fails_ends_the_hub_and_is_named(settings, caplog, monkeypatch):
    hub = Hub(settings, Connection(server="http://127.0.0.1:1", namespace="hansa"))

    async def fails():
        raise ZeroDivisionError("never should")

    monkeypatch.setattr(hub.recorder, "run", fails)

    with pytest.raises(TaskFailed, match="fails"):
        await asyncio.wait_for(hub.live(), 30)

    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "fails" in record.task
    assert record.exc_info[0] is ZeroDivisionError
