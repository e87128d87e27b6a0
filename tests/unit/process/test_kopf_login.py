"""kopf as a front door: it logs in as we do, begins and ends our work, and keeps to watching."""

import asyncio

import kopf
import pytest

from e2e.testbed.host.clock import PATIENCE_S
from hansa.adapters.kube.config import Connection
from hansa.process.app import Supervisor, TaskFailed
from hansa.process.kopf_login import build_settings, connection_info, run_under_kopf

NOWHERE = Connection(server="http://127.0.0.1:1", namespace="hansa")


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


def test_a_rotated_token_is_read_again(token_file):
    connection = Connection(server="https://x", token_file=token_file, token="stale")
    assert connection_info(connection).token == "first"
    token_file.write_text("second\n")
    assert connection_info(connection).token == "second"


LOGINS = {
    "token": (Connection("https://x", token="t"), {"token": "t"}),
    "exec plugin": (Connection("https://x", token_command=lambda: "asked"), {"token": "asked"}),
    "inline": (
        Connection("https://x", ca_pem="A", certificate_pem="C", key_pem="K"),
        {"ca_data": "A", "certificate_data": "C", "private_key_data": "K"},
    ),
    "nobody": (Connection("https://x"), {"token": None, "ca_data": None}),
    "namespace": (Connection("https://x", namespace="n"), {"default_namespace": "n"}),
}


@pytest.mark.parametrize(("connection", "expected"), LOGINS.values(), ids=LOGINS.keys())
def test_kopf_logs_in_as_we_do(connection, expected):
    info = connection_info(connection)
    assert info.server == "https://x"
    assert {name: getattr(info, name) for name in expected} == expected


def test_files_win_over_inline_values(tmp_path):
    files = {name: tmp_path / name for name in ("ca_file", "certificate_file", "key_file")}
    info = connection_info(Connection("https://x", **files, ca_pem="A", certificate_pem="C"))
    assert (info.ca_path, info.ca_data) == (tmp_path / "ca_file", None)
    assert (info.certificate_path, info.certificate_data) == (tmp_path / "certificate_file", None)
    assert (info.private_key_path, info.private_key_data) == (tmp_path / "key_file", None)


def test_kopf_keeps_to_watching():
    settings = build_settings()
    assert not settings.posting.enabled
    assert settings.scanning.disabled
    assert settings.peering.standalone


class Work:
    """Runs until cancelled, or fails."""

    def __init__(self, error=None):
        self.error, self.began, self.ended = error, asyncio.Event(), False

    async def run(self):
        self.began.set()
        try:
            if self.error:
                raise self.error
            await asyncio.Event().wait()
        finally:
            self.ended = True


def no_handlers(registry):
    assert isinstance(registry, kopf.OperatorRegistry)


async def test_work_begins_with_kopf_and_ends_when_told():
    work = Work()
    supervisor = Supervisor(work.run)
    running = asyncio.create_task(run_under_kopf(supervisor, NOWHERE, no_handlers))
    await asyncio.wait_for(work.began.wait(), PATIENCE_S)
    supervisor.ending.set()
    await asyncio.wait_for(running, PATIENCE_S)
    assert work.ended


async def test_work_that_fails_ends_kopf():
    supervisor = Supervisor(Work(ZeroDivisionError()).run)
    with pytest.raises(TaskFailed):
        await asyncio.wait_for(run_under_kopf(supervisor, NOWHERE, no_handlers), PATIENCE_S)
