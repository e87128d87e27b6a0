"""The page of escapes says what the table says."""

from pathlib import Path

from tests.apiserver.lock.table import PAGE, page

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def test_the_page_is_as_the_table():
    written = (REFERENCE / PAGE).read_text()
    assert written == page(), "run make crds"
