"""`make test` plays all there is: its list of folders is written by hand in part, for the order."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_folder_of_tests_on_api_servers_is_played_once():
    argv = ["make", "--dry-run", "test"]
    told = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in told.splitlines() if "tests/programs" in line]
    played = [word for word in line.split() if word.startswith("tests/")]
    tests = [path.relative_to(ROOT) for path in (ROOT / "tests/apiserver").rglob("test_*.py")]
    there = {"/".join(path.parts[:3]) for path in tests}
    assert sorted(played) == sorted({*there, "tests/programs"})
