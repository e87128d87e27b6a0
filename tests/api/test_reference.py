"""The generated pages are what the code says now."""

from __future__ import annotations

from pathlib import Path

import pytest

from hansa.cli.generated.reference import NOTICE, PAGES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", PAGES)
def test_generated_page_is_current(name):
    written = (REFERENCE / name).read_text(encoding="utf-8")
    assert written == NOTICE + PAGES[name](), "run `make crds`"
