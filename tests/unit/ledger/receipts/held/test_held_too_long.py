"""A member is paid until its run ended: not for what it says it held afterwards, nor for longer than the job allowed."""

from __future__ import annotations

from typing import Any

from hansa.api.aijob import AIJobSpec
from hansa.model.times import rfc3339
from hansa.receipts.metering import MeteredRun, Sight
from tests.unit.grants.grant_kit import NOW_S, UID, job
from tests.unit.ledger.receipts.ledger_kit import (
    GRANT_PATH,
    Ledger,
    granted,
    receipts,
    shown,
)
from tests.unit.receipts.receipt_kit import receipts as drawn


def ended() -> dict[str, Any]:
    """Return the grant of a run of which its member says that it has succeeded."""
    over = {"type": "Running", "status": "False", "reason": "Succeeded"}
    return granted() | {"status": {"conditions": [over], "finishedAt": rfc3339(NOW_S + 300)}}


async def heard(ledger: Ledger, parts: list[dict[str, Any]], told_s: float) -> None:
    """Have the hub hear of the end after some parts, and the ledger look at it then."""
    await ledger.step(parts)
    ledger.hub.put(GRANT_PATH, ended())
    ledger.at(NOW_S + told_s)
    await ledger.step(parts)
    ledger.at(NOW_S + 1000)


async def test_what_is_held_behind_the_end_that_the_hub_heard_of_is_not_paid(ledger: Ledger):
    """All of it is in order by itself: each part follows the other, and no other run is there."""
    outbox = shown(receipts())
    await heard(ledger, outbox[:1], 310)
    await ledger.step(outbox)
    assert ledger.disputes == {("Differs", "end")}
    assert ledger.amounts == [600_000]


async def test_what_the_hub_hears_in_time_is_paid_to_the_end(ledger: Ledger):
    outbox = shown(receipts())
    await heard(ledger, outbox[:2], 650)
    await ledger.step(outbox)
    assert ledger.disputes == set()
    assert sorted(ledger.amounts) == [100_000, 600_000, 600_000]


async def test_a_ledger_whose_clock_is_behind_goes_by_the_hubs(ledger: Ledger):
    """Else an honest last receipt would say that more was held than until the end was heard of."""
    outbox = shown(receipts())
    ledger.view._ahead_s = lambda: 350.0
    await heard(ledger, outbox[:1], 300)
    await ledger.step(outbox)
    assert ledger.disputes == set()
    assert sorted(ledger.amounts) == [100_000, 600_000, 600_000]


async def test_no_run_is_paid_for_longer_than_its_job_allowed(ledger: Ledger):
    """Its member never says that it has ended: day after day it says that its GPUs are held still."""
    allowed_s = AIJobSpec.model_validate(job()).max_runtime_seconds
    days = allowed_s // 86_400 + 3
    run = MeteredRun(work=receipts()[0].work, until=rfc3339(NOW_S))
    ledger.at(NOW_S + days * 86_400.0)
    await ledger.step(shown(drawn(run, Sight(NOW_S + days * 86_400))))
    paid_s = sum(line.usage.gpu_ms // line.usage.gpus // 1000 for line in ledger.reader.lines(UID))
    assert ledger.disputes == {("Differs", "end")}
    assert 0 < paid_s <= allowed_s + 86_400
