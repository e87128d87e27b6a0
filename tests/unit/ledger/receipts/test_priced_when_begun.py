"""A run is priced by what was valid when it was accepted, whatever its member says of when that was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.accounting import amounts
from hansa.accounting.tariff import Rate
from hansa.api.workgrant import WorkGrantSpec
from hansa.model.times import from_rfc3339, rfc3339
from hansa.receipts.metering import MeteredRun, Sight
from hansa.receipts.work_receipt import Price, WorkReceipt
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.ledger.receipts.ledger_kit import (
    Ledger,
    absurd,
    granted,
    receipts,
    rechained,
    shown,
)
from tests.unit.receipts.receipt_kit import receipts as drawn

DEAR = "36.00"
GRANTED = WorkGrantSpec.model_validate(granted()["spec"])
LATEST_S = int(from_rfc3339(GRANTED.not_after) or 0)
HOUR_S = 3600


def begun(since_s: int) -> list[WorkReceipt]:
    """Return what a member signs of a run that begins then, at the dear price."""
    work = receipts()[0].work
    if work.price is None:
        raise AssertionError("the node asks for a price")
    dear = Price(**work.price.model_dump() | {"gpu_hour": DEAR})
    run = MeteredRun(work=work.model_copy(update={"price": dear}), until=rfc3339(since_s))
    ends = {"over": True, "ended_s": since_s + 900, "end_reason": "Succeeded"}
    return drawn(run, *(Sight(since_s + 300 * n) for n in (1, 2)), Sight(since_s + 900, **ends))


def spoils_its_first() -> tuple[list[WorkReceipt], int, int]:
    found = begun(int(NOW_S))
    return rechained(found, 0, **absurd(found[0])), int(NOW_S) + 200, 1 << 40


def begins_later_than_it_may() -> tuple[list[WorkReceipt], int, int]:
    return begun(LATEST_S + HOUR_S), LATEST_S + 2000, 1 << 40


def begins_before_it_was_granted() -> tuple[list[WorkReceipt], int, int]:
    found = begun(int(NOW_S))
    return rechained(found, 0, start=rfc3339(NOW_S - 30 * 86_400)), 0, int(NOW_S) - 86_400


LIES = {
    lie.__name__: lie
    for lie in (spoils_its_first, begins_later_than_it_may, begins_before_it_was_granted)
}


@pytest.mark.parametrize("lie", LIES)
async def test_no_member_chooses_when_its_run_began_and_so_what_it_costs(ledger: Ledger, lie: str):
    """The dear price is valid in a time that the run's receipts say, and not when it was accepted."""
    found, since_s, until_s = LIES[lie]()
    cheap = ledger.tariffs["tartu"]
    rates = [replace(rate, valid_from_ms=0) for rate in cheap.rates]
    dear = [
        replace(rate, per_hour=amounts.read(DEAR), valid_from_ms=since_s * 1000) for rate in rates
    ]
    again = [replace(rate, valid_from_ms=until_s * 1000) for rate in rates]
    known: tuple[Rate, ...] = (*(rates if since_s else ()), *dear, *again)
    ledger.tariffs["tartu"] = replace(cheap, rates=known)
    ledger.at(found[-1].issued_s + 60)
    await ledger.step(shown(found))
    assert ("WrongPrice", "unitPrice") in ledger.disputes
    assert ledger.amounts == []
