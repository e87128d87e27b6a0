"""The example of a fine-tuning that can be audited by segments, run as the process that it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hansa.api.job.status import RESULT_BYTES
from hansa.verification.segments import Grid, Stretch, answered, draw, read_states

PROGRAM = Path(__file__).parents[3] / "docs" / "examples" / "programs" / "finetune.py"
ALL = Grid(480, 10)


def run(folder: Path, stretch: Stretch | None = None, *, kept: Path | None = None) -> str:
    said = folder / "result.json"
    own = {"HANSA_RESULT": str(said), "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    if kept is not None:
        own["HANSA_CHECKPOINTS"] = str(kept)
    if stretch is not None:
        asked = {"first": stretch.first, "last": stretch.last, "state": stretch.state}
        own["HANSA_SEGMENT"] = json.dumps(asked | {"say": stretch.say})
    subprocess.run([sys.executable, str(PROGRAM)], env=own, check=True, capture_output=True)
    return said.read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder, kept = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("checkpoints")
    return run(folder, kept=kept), kept


def test_its_result_commits_all_segments_and_fits(whole):
    text, _ = whole
    assert len(text) <= RESULT_BYTES
    assert json.loads(text)["accuracy"] > 0.85
    assert draw(ALL, read_states(text), 1) is not None


@pytest.mark.parametrize("where", ["its checkpoints", "nowhere", "others' checkpoints"])
def test_a_segment_comes_to_the_same_state_wherever_it_begins(whole, where, tmp_path):
    text, kept = whole
    drawn = draw(ALL, read_states(text), 5)
    assert drawn.stretch.first > 0
    found = {"its checkpoints": kept, "nowhere": None, "others' checkpoints": tmp_path}[where]
    if found is tmp_path:
        (tmp_path / f"{drawn.stretch.first}.npy").write_bytes((kept / "0.npy").read_bytes())
    states = answered(drawn.stretch, run(tmp_path, drawn.stretch, kept=found))
    assert states[drawn.stretch.last] == drawn.digest
    assert set(drawn.stretch.say) <= states.keys()
