"""The demo's own reckoning finds what does not agree: gaps, missing signatures and proofs, other sums."""

from __future__ import annotations

import json

import pytest

from e2e.demo.account import account_of, billed_rows, is_complete, timed
from e2e.demo.jobs import JobOutcome
from e2e.demo.report import Report
from e2e.demo.settlement import in_words
from hansa.receipts.bundle import Bundle, BundledReceipt, Disputed
from hansa.receipts.envelope import cosign, seal
from tests.unit.receipts.receipt_kit import HUB, NODE, history

FIRST, SECOND, LAST = history()
# Two GPUs at 1.50 an hour for 300, 300 and 50 seconds.
BILL = "sha256:0123456789ab\nsha256:1123456789ab\nsha256:2123456789ab\nTotal 0.541667 EUR\n"


def bundle(*receipts, both: bool = True, **more):
    more = {"proof": "tlog"} | more
    sealed = (seal(receipt, NODE) for receipt in receipts)
    found = tuple(
        BundledReceipt(envelope=cosign(one, HUB) if both else one, **more) for one in sealed
    )
    return json.loads(Bundle(receipts=found).model_dump_json(by_alias=True, exclude_none=True))


def test_a_job_is_reckoned_from_its_receipts():
    account = account_of("lab/train", bundle(LAST, FIRST, SECOND), BILL)
    assert account.faults == ()
    assert (account.receipts, account.seconds, account.gpu_seconds) == (3, 660, 1300)
    assert (account.node, account.payer, account.amount) == ("tartu", "hospital", "0.541667")
    assert "hospital owes 0.541667 EUR" in in_words(account)


DISPUTED = (Disputed(fault="Differs", field="gpus", message="2, not 1"),)
WRONG = {
    "a part left out": (bundle(FIRST, LAST), BILL, "is followed by"),
    "its begin left out": (bundle(SECOND, LAST), BILL, "has parts [2, 3]"),
    "its end left out": (bundle(FIRST, SECOND), BILL, "does not end"),
    "not countersigned": (bundle(FIRST, SECOND, LAST, both=False), BILL, "not countersigned"),
    "not logged": (bundle(FIRST, SECOND, LAST, proof=None), BILL, "not in the log"),
    "disputed": (bundle(FIRST, SECOND, LAST, differences=DISPUTED), BILL, "Differs"),
    "another sum": (
        bundle(FIRST, SECOND, LAST),
        BILL.replace("0.541667", "0.541668"),
        "come to 541667 millionths",
    ),
    "no bill": (bundle(FIRST, SECOND, LAST), "the books have no receipt", "the bill says"),
}


@pytest.mark.parametrize(("found", "bill", "said"), WRONG.values(), ids=WRONG)
def test_what_does_not_agree_is_a_fault(found, bill: str, said: str):
    faults = account_of("lab/train", found, bill).faults
    assert any(said in fault for fault in faults), faults


def test_a_finished_job_without_a_receipt_fails():
    with pytest.raises(AssertionError, match="has ended and has no receipt"):
        account_of("lab/train", bundle(), BILL)


def test_it_is_complete_with_the_last_receipt_of_the_newest_run():
    again = history(epoch=2)
    assert is_complete(bundle(FIRST, SECOND, LAST))
    assert not is_complete(bundle(FIRST, SECOND))
    assert not is_complete(bundle(FIRST, SECOND, LAST, again[0]))
    assert not is_complete(bundle())


def test_rows_of_a_bill_are_counted():
    assert billed_rows(BILL) == timed(bundle(FIRST, SECOND, LAST)) == 3


def test_the_report_has_each_account():
    account = account_of("lab/train", bundle(FIRST, SECOND, LAST), BILL)
    job = JobOutcome("train", ("tartu",), "tartu", "Succeeded", namespace="lab")
    told = json.loads(Report("local", 1.0, 1, 0, (job,), (account,)).to_json())
    assert (told["accounts"][0]["micros"], told["accounts"][0]["gpuSeconds"]) == (541_667, 1300)
    assert job.full_name == told["accounts"][0]["job"]
