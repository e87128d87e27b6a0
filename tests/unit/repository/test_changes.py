"""Every change that is noted is told, and the program's version has its notes."""

import re
import subprocess
import sys
from pathlib import Path

import hansa

ROOT = Path(__file__).parents[3]
FRAGMENTS = [path for path in (ROOT / "changes").iterdir() if path.name != "README.md"]
KINDS = "added|changed|removed|fixed|security"


def test_a_note_says_what_kind_of_change_it_is():
    assert [
        p.name for p in FRAGMENTS if not re.fullmatch(rf"\+[a-z-]+\.({KINDS})\.md", p.name)
    ] == []


def test_the_next_release_tells_every_note():
    argv = [Path(sys.executable).parent / "towncrier", "build", "--draft", "--version", "next"]
    told = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    for path in FRAGMENTS:
        assert path.read_text().strip() in told


def test_the_changelog_tells_this_version_where_a_release_looks_for_it():
    releases = re.findall(r"(?m)^## (.*)$", (ROOT / "CHANGELOG.md").read_text())

    assert hansa.__version__ in [title.split()[0] for title in releases]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", title) for title in releases)
