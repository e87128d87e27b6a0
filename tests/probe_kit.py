"""Runs a capacity probe's program as an image does: its text alone, without Hansa, and a Ray whose tasks run here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

RAY = '''
"""Ray as far as the program uses it."""
def init(): pass
def get(it): return it
def remote(num_gpus):
    class Task:
        def __init__(self, what): self.what = what
        def remote(self, *given): return self.what(*given)
    return Task
'''
RUN = (
    "import runpy, sys; sys.path.append({packages!r}); del sys.argv[0];"
    " runpy.run_path(sys.argv[0], run_name='__main__')"
)


def run_probe(spec: Mapping[str, Any], folder: Path) -> str:
    """Return the result that a probe's job writes. ``folder``: an empty one, for its files."""
    folder.mkdir(exist_ok=True)
    for file in spec["files"]:
        (folder / file["name"]).write_text(file["content"], encoding="utf-8")
    (folder / "ray.py").write_text(RAY, encoding="utf-8")
    program, path, *arguments = spec["entrypoint"]
    assert (program, path.startswith("/code/")) == ("python3", True)
    code = RUN.format(packages=str(Path(np.__file__).parents[1]))
    result = folder / "result.json"
    done = subprocess.run(  # the ledger's own program
        [sys.executable, "-S", "-c", code, str(folder / path.removeprefix("/code/")), *arguments],
        env={**os.environ, "HANSA_RESULT": str(result), "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return result.read_text(encoding="utf-8")
