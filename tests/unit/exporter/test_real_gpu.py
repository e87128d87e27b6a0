"""The exporter's readings on a real GPU hold water."""

from pathlib import Path

import pytest

from hansa.exporter import check

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not Path("/dev/nvidiactl").exists(), reason="no NVIDIA driver here"),
]


def test_readings_contradict_nothing(capsys):
    assert check.main() == 0
    assert "hansa_gpu_energy_joules_total" in capsys.readouterr().out
