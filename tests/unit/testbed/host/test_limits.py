"""A kernel's limit is raised where it is lower than a league needs, and never lowered."""

import io

import pytest
from rich.console import Console

from e2e.testbed.host.limits import NEEDED, raise_limits
from e2e.testbed.host.progress import Progress

(NAME, NEED), *_ = NEEDED.items()


@pytest.fixture
def limit(tmp_path):
    path = tmp_path / NAME.replace(".", "/")
    path.parent.mkdir(parents=True)
    return path


CASES = {
    "too low": (128, NEED),
    "just enough": (NEED, NEED),
    "more than enough": (8 * NEED, 8 * NEED),
}


@pytest.mark.parametrize(("found", "left"), CASES.values(), ids=CASES)
def test_limit(found, left, limit, tmp_path):
    limit.write_text(f"{found}\n")

    said = _raise(tmp_path)

    assert int(limit.read_text()) == left
    assert (NAME in said) == (found != left)


def test_a_limit_that_cannot_be_raised_is_told(limit, tmp_path, monkeypatch):
    limit.write_text("128\n")

    def refuse(*_, **__):
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.write_text", refuse)

    assert f"{NAME} stays at 128 (Read-only file system)" in _raise(tmp_path)


def _raise(root):
    said = io.StringIO()
    raise_limits(Progress(Console(file=said)), root)
    return said.getvalue()
