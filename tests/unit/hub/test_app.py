"""The hub process: what happens when one of its tasks fails that never should."""

import asyncio
import logging

import pytest

from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.config import Connection
from hansa.hub.app import Hub
from hansa.hub.settings import HubSettings


@pytest.fixture
async def hub(tmp_path):
    key = tmp_path / "hub.key"
    key.write_bytes(Ed25519Signer.generate().private_pem())
    settings = HubSettings(
        grants={"key_file": str(key)}, serving={"health_port": 0, "bind": "127.0.0.1"}
    )
    hub = Hub(settings, Connection(server="http://127.0.0.1:1", namespace="hansa"))
    yield hub
    await hub.stop()


async def test_a_task_that_fails_takes_the_hub_out_of_service_and_is_named(
    hub, caplog, monkeypatch
):
    async def fails():
        raise ZeroDivisionError("never should")

    monkeypatch.setattr(hub.recorder, "run", fails)

    await hub.start()
    async with asyncio.timeout(30):
        while "_lead" not in hub.trouble():  # noqa: ASYNC110  # a probe is asked, and tells nobody
            await asyncio.sleep(0)

    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "fails" in record.task
    assert record.exc_info[0] is ZeroDivisionError
    assert "fails" in hub.trouble()
