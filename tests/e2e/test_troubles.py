"""Clusters as they are: tainted machines, images that do not come, heads that die, with real pods."""

from __future__ import annotations

import pytest

from e2e.troubles.cases import TROUBLES
from e2e.troubles.transcript import stage

pytestmark = [pytest.mark.e2e, pytest.mark.soak]


@pytest.fixture(scope="module")
def league(root_on_linux):  # noqa: ARG001  # only asks whether it can run here
    with stage() as founded:
        yield founded


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.title)
def test_the_owner_reads_what_is_right(league, trouble, record_property):
    told = trouble.play(league)

    record_property("read", told.text())
