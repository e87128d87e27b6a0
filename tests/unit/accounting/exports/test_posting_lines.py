"""The books as lines: read back they are the same, and what is none is named by its line."""

import pytest

from hansa.accounting.exports.posting_lines import posting_lines, read_posting_lines
from hansa.errors import Terminal
from tests.unit.accounting.settlement.clearings import rows_of


def test_what_is_written_is_read() -> None:
    assert list(read_posting_lines(posting_lines(rows_of()))) == rows_of()


GOOD = next(posting_lines(rows_of()))
BAD = {
    "no JSON": b"{",
    "a list": b"[1]",
    "a field is missing": b'{"subject":"x"}',
    "an amount below nothing": GOOD.replace(b'"amount":9000000', b'"amount":-1'),
    "an amount with a point": GOOD.replace(b'"amount":9000000', b'"amount":9.5'),
    "an amount that is true": GOOD.replace(b'"amount":9000000', b'"amount":true'),
    "an unknown event": GOOD.replace(b"Charge", b"Gift"),
    "an unknown account": GOOD.replace(b"pending", b"pocket"),
    "nobody": GOOD.replace(b'"debtor":"clinic"', b'"debtor":""'),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_posting_is_named_by_its_line(case: str) -> None:
    with pytest.raises(Terminal, match="line 2 of the export"):
        list(read_posting_lines([GOOD, BAD[case]]))
