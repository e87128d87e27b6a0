"""Where no hub leads, no command that shows what one wrote or would do shows it as if one did."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner

from hansa.adapters.clock import SystemClock
from hansa.cli.access import Access
from hansa.cli.main import cli
from hansa.model.times import rfc3339_micro
from hansa.ports import Page
from tests.unit.cli.small_league import EE, job, meta, node


class Server:
    """A league whose hub renewed its Lease so long ago; None: it never did."""

    namespace = "clinic"
    server_time_skew_s = 0.0

    def __init__(self, silent_s):
        self.silent_s = silent_s

    async def get(self, _):
        return job("study")

    async def list(self, path, **_):
        kind = path.rsplit("/", 1)[-1]
        made = {
            "leases": self._leases(),
            "aijobs": [job("study")],
            "sovereignnodes": [node(*EE)],
            "namespaces": [
                {"metadata": {"name": "clinic", "labels": {"hansa.dev/institution": "tartu-uni"}}}
            ],
            "computepools": [{"metadata": meta("league"), "spec": {}}],
        }
        return Page(made.get(kind, []), "1")

    def _leases(self):
        if self.silent_s is None:
            return []
        renewed = rfc3339_micro(SystemClock().now() - self.silent_s)
        spec = {"holderIdentity": "hub-0", "leaseDurationSeconds": 15, "renewTime": renewed}
        return [{"metadata": {"name": "hansa-hub", "namespace": "hansa-system"}, "spec": spec}]


SHOWING = {("status",): 3, ("nodes",): 3, ("queue",): 3, ("explain", "study"): 0}
"""Command → its exit code: explain shows what would be, and no hub is asked for that."""


def run(monkeypatch, silent_s, *arguments):
    server = Server(silent_s)
    monkeypatch.setattr(Access, "ask", lambda _, question: asyncio.run(question(server)))
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize("command", SHOWING, ids=lambda command: command[0])
@pytest.mark.parametrize("silent_s", [7300, None])
def test_it_is_said_and_the_exit_code_says_it(monkeypatch, command, silent_s):
    told = run(monkeypatch, silent_s, *command)
    assert "Hub: no hub" in told.output
    assert told.exit_code == SHOWING[command]

    document = json.loads(run(monkeypatch, silent_s, *command, "-o", "json").stdout)
    assert "no hub" in document["hub"][0]


@pytest.mark.parametrize("command", SHOWING, ids=lambda command: command[0])
def test_where_one_leads_nothing_is_wrong(monkeypatch, command):
    told = run(monkeypatch, 1, *command)
    assert told.exit_code == 0
    assert "no hub" not in told.output
