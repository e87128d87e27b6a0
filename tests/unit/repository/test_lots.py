"""What a test draws: anew each time, the same where it is tried once more, and the one that is asked for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PLAY = (sys.executable, "-m", "pytest", "-c", os.devnull, "-p", "tests.conftest", "-q")


def seed_of(folder: Path, *options: str, **environment: str) -> str:
    """Return the seed that is printed with a test that fails."""
    done = subprocess.run(
        (*PLAY, f"--rootdir={folder}", *options, folder / "test_it.py"),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return re.findall(r"^HANSA_SEED=(\d+)$", done.stdout, re.MULTILINE)[-1]


def test_a_lot_is_drawn_anew_and_once_more_the_same(tmp_path):
    (tmp_path / "test_it.py").write_text("def test_it(lot):\n    assert lot < 0\n")
    first = seed_of(tmp_path)
    assert seed_of(tmp_path, "--last-failed", HANSA_ONCE_MORE="1") == first
    assert seed_of(tmp_path) != first
    assert seed_of(tmp_path, HANSA_SEED="7") == "7"
