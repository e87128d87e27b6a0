"""``make demo KEEP=1``: what did well is left running; what failed is taken down all the same."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from e2e.demo.run import kept, next_commands, simulated_league
from e2e.testbed.host.progress import Progress
from e2e.testbed.providers.provider import ProviderUnavailableError
from hansa.cli.main import cli


class Thing:
    def __init__(self):
        self.is_up = False

    def __enter__(self):
        self.is_up = True

    def __exit__(self, *_):
        self.is_up = False


@pytest.mark.parametrize("keep", [True, False])
def test_what_did_well_is_kept_if_asked_for(keep):
    thing = Thing()
    with kept(thing, keep=keep):
        assert thing.is_up
    assert thing.is_up is keep


@pytest.mark.parametrize("keep", [True, False])
def test_what_failed_is_taken_down(keep):
    thing = Thing()
    with pytest.raises(ValueError, match="no"), kept(thing, keep=keep):
        raise ValueError("no")
    assert not thing.is_up


def test_what_to_try_next_is_said():
    running = SimpleNamespace(
        league=SimpleNamespace(hub=SimpleNamespace(kubeconfig="/run/hub")),
        prometheus=SimpleNamespace(url="http://127.0.0.1:9"),
    )
    words = next_commands(running)
    tried = [line.split() for line in words.splitlines() if line.startswith("  ")]
    assert len(tried) == 3
    for program, *arguments in tried:
        assert program == ".venv/bin/hansa"
        assert arguments[-2:] == ["--kubeconfig", "/run/hub"]
        known = CliRunner().invoke(cli, [*arguments[:-1], "/dev/null", "--help"])
        assert known.exit_code == 0, known.output
    assert "http://127.0.0.1:9" in words
    assert words.endswith("make down takes it away.")


def test_simulated_agents_cannot_be_kept():
    with (
        pytest.raises(ProviderUnavailableError, match="--provider local"),
        simulated_league(Progress(), name="x", keep=True),
    ):
        pytest.fail("it came up")
