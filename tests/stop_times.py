"""``Stopped`` with fifty running jobs in five situations, as one JSON line: ``python -m tests.stop_times``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
TESTS = "tests/apiserver/stopping"
VARIABLE = "HANSA_STOP_TIMES"
SITUATIONS = ("hub_down", "agent_killed", "agent_frozen", "memory_full", "policy_unreadable")


def measured() -> dict[str, float | None]:
    """Return, per situation, within how many seconds 99 of 100 pods are gone; None: never."""
    with TemporaryDirectory() as folder:
        results = Path(folder, "results")
        results.touch()
        argv = [sys.executable, "-m", "pytest", "-m", "soak", "-n", "0", "-q", TESTS]
        env = os.environ | {VARIABLE: str(results)}
        subprocess.run(argv, cwd=ROOT, env=env, stdout=sys.stderr, check=False)
        rows = [json.loads(line) for line in results.read_text().splitlines()]
    return dict.fromkeys(SITUATIONS) | {row["situation"]: row["p99_s"] for row in rows}


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"stop_p99_s": measured()}) + "\n")
