"""Unplugging a cable that goes by itself: its other end dies with the machine it is in."""

import pytest

from e2e.testbed.machines import network


@pytest.fixture
def _refusing(monkeypatch, tmp_path):
    """An `ip` that says of everything that it is not there."""
    program = tmp_path / "ip"
    program.write_text("#!/bin/sh\necho 'No such device' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(network, "system_program", lambda _: str(program))


@pytest.mark.usefixtures("_refusing")
def test_what_is_gone_meanwhile_is_well_gone(monkeypatch):
    there = iter([True, False])
    monkeypatch.setattr(network, "exists", lambda _: next(there))

    network.unplug("gone0")

    assert list(there) == []


@pytest.mark.usefixtures("_refusing")
def test_what_stays_is_told(monkeypatch):
    monkeypatch.setattr(network, "exists", lambda _: True)

    with pytest.raises(network.NetworkError, match="link delete stays0: No such device"):
        network.unplug("stays0")
