"""How a version of KubeRay or Ray is read."""

from __future__ import annotations

import pytest

from hansa.grants.checks import release

RELEASES = {"v1.6.1-rc.0": (1, 6, 1), "2.54.0": (2, 54, 0), "nightly": (), "": (), "1.6+x": (1, 6)}


@pytest.mark.parametrize(("text", "parts"), RELEASES.items())
def test_release(text, parts):
    assert release(text) == parts
