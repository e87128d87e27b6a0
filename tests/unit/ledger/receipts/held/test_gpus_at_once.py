"""No node sells more GPUs at once than it has said that it has, whether its receipts name them or not."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.api.kinds import WORKGRANT
from tests.unit.grants.grant_kit import UID, grant, job
from tests.unit.ledger.receipts.ledger_kit import Ledger, receipts, shown
from tests.unit.receipts.receipt_kit import changed, head_after

CLASS = "nvidia-rtx-4090"
SOLD_TWICE = {("GpuSoldTwice", "receipt")}


def had(total: int, name: str = CLASS) -> dict[str, Any]:
    return {"inventory": [{"gpuClass": name, "memory": "24Gi", "total": total}]}


STOCKS = {
    "as many as it has": ([had(4)], 2),
    "more than it has": ([had(3)], 1),
    "of a class that it lacks": ([had(9, "nvidia-l40s")], 0),
    "more than are left, as many as there were when the runs began": ([had(4), had(2)], 2),
    "more than there ever were": ([had(2), had(3)], 1),
    "nobody has told how many": ([{}], 2),
}


ODD: dict[str, dict[str, Any]] = {
    "rows without a total": {"inventory": [{"gpuClass": 7}, {"gpuClass": CLASS}, 3, None]},
    "no rows": {"inventory": "many"},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_what_nobody_can_read_of_one_node_keeps_nobodys_receipts_back(ledger: Ledger, odd):
    ledger.status = odd
    ledger.hub.put(
        WORKGRANT.path("hansa-node-tartu", "aij-0-e4"),
        {
            "metadata": {"name": "aij-0-e4"},
            "spec": grant(job(), epoch=4),
            "status": {"exports": [4], "conditions": ["x"], "finishedAt": "x"},
        },
    )
    await ledger.step(shown())
    assert (ledger.disputes, len(ledger.amounts)) == (set(), 3)


@pytest.mark.parametrize("is_one_window", [True, False])
@pytest.mark.parametrize(("stocks", "paid"), STOCKS.values(), ids=STOCKS)
async def test_gpus_that_are_sold_at_once(ledger: Ledger, stocks, paid, *, is_one_window):
    """Two runs of two GPUs in the same five minutes; no receipt says which GPUs they were."""
    path = WORKGRANT.path("hansa-node-tartu", "aij-0-e4")
    ledger.hub.put(path, {"metadata": {"name": "aij-0-e4"}, "spec": grant(job(), epoch=4)})
    for stock in stocks:
        ledger.status = stock
        await ledger.show([])
    first = changed(receipts()[0], held=[])
    second = receipts(epoch=4)[0]
    second = changed(second, held=[], sequence=2, previous=head_after(first).digest)
    if not is_one_window:
        await ledger.step(shown([first]))
    await ledger.step(shown([first, second]))
    assert ledger.disputes == (SOLD_TWICE if paid < 2 else set())
    assert [line.usage.epoch for line in ledger.reader.lines(UID)] == [3, 4][:paid]
