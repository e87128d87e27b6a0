"""Ports handed out stay with whoever asked, also before a server listens on them."""

import socket
import subprocess
import sys

import pytest

from e2e.testbed.host import ports
from e2e.testbed.host.ports import free_ports

ELSEWHERE = "from e2e.testbed.host.ports import free_ports; print(*free_ports(4))"


def test_no_port_is_handed_out_twice_in_a_process():
    assert not set(free_ports(3)) & set(free_ports(3))


def test_no_port_is_handed_out_to_another_process():
    mine = free_ports(3)

    ran = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, check=True
    )

    assert not set(mine) & {int(port) for port in ran.stdout.split()}


def test_a_port_somebody_listens_on_is_passed_over(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(ports, "_RANGE", [server.getsockname()[1]])

        with pytest.raises(RuntimeError, match="fewer than 1"):
            free_ports(1)


def test_the_last_port_is_as_good_as_any(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr(ports, "_RANGE", [port])
    monkeypatch.setattr(ports, "_claim", {port}.__contains__)

    assert free_ports(1) == [port]
