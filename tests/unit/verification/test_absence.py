"""What is lost, late, withheld or gone: a network fault costs a run's pay at most."""

from __future__ import annotations

import pytest

from hansa.verification.absence import Absence, Asked, Patience, proof_absence, receipt_absence

P = Patience(receipt_s=100, show_s=1_000, gone_s=10_000)
RECEIPTS = {
    "in time": (100, 5_000, None),
    "late": (101, 5_000, Absence.LATE_RECEIPT),
    "very late, still in order": (50_000, 60_000, Absence.LATE_RECEIPT),
    "not yet": (None, 50, Absence.PENDING),
    "missing, the node may come back": (None, 10_100, Absence.PENDING),
    "never": (None, 10_101, Absence.LOST_WORK),
}
PROOFS = {
    "time left": (Asked(0, 999), 999, Absence.PENDING),
    "there all the time and silent": (Asked(0, 1_000), 1_000, Absence.WITHHELD),
    "away": (Asked(0, 10), 9_000, Absence.PENDING),
    "away for good": (Asked(0, 10), 10_001, Absence.GONE),
    "came back, silent": (Asked(0, 1_000), 20_000, Absence.WITHHELD),
}


@pytest.mark.parametrize("case", RECEIPTS.values(), ids=RECEIPTS)
def test_a_receipt_that_is_not_there(case):
    received_s, now_s, absence = case
    assert receipt_absence(0, received_s, now_s, P) is absence


@pytest.mark.parametrize("case", PROOFS.values(), ids=PROOFS)
def test_a_proof_that_is_not_there(case):
    asked, now_s, absence = case
    assert proof_absence(asked, now_s, P) is absence
