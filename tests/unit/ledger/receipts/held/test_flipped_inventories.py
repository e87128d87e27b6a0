"""A node that says something else of its GPUs all the time fills no table, and hides no sale by it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from hansa.api.kinds import WORKGRANT
from hansa.ledger.receipts.endings import MOST_CHANGES, WINDOW_S, Declarations, stock_of
from hansa.ledger.store import schema
from hansa.ledger.store.engine import reading
from tests.unit.grants.grant_kit import NOW_S, UID, grant, job
from tests.unit.ledger.receipts.ledger_kit import Jumping, Ledger, heard, receipts, shown
from tests.unit.receipts.receipt_kit import changed, head_after

CLASS = "nvidia-rtx-4090"
NOW_MS = int(NOW_S) * 1000


def had(total: int) -> dict[str, Any]:
    return {"inventory": [{"gpuClass": CLASS, "memory": "24Gi", "total": total}]}


def node(total: int, grams: int = 400) -> dict[str, Any]:
    carbon = {"gramsPerKwh": grams, "asOf": "2026-05-01"}
    return {"metadata": {"name": "tartu"}, "spec": {"carbon": carbon}, "status": had(total)}


def rows(ledger: Ledger) -> int:
    table = schema.AUDIT
    mine = table.c.subject == f"{schema.OF_NODE}tartu"
    with reading(ledger.engine) as connection:
        wanted = select(func.count()).select_from(table).where(mine)
        return int(connection.execute(wanted).scalar_one())


def stock(ledger: Ledger) -> list[int]:
    with reading(ledger.engine) as connection:
        return [told.get(CLASS, 0) for _, told in stock_of(connection, "tartu")]


async def test_a_node_that_flips_all_day_writes_so_many_rows_and_no_more(ledger: Ledger) -> None:
    clock = Jumping()
    ledger.view._clock = clock  # type: ignore[attr-defined]
    await heard(ledger.view)
    for at in range(4 * MOST_CHANGES):
        clock.seconds += 2.0
        ledger.status = had(4 if at % 2 else 2)
        await ledger.show([])
        if at % 50 == 0:
            await ledger.intake.step()
    await ledger.intake.step()
    assert MOST_CHANGES <= rows(ledger) <= 2 * MOST_CHANGES


async def test_changes_in_one_millisecond_are_all_kept(ledger: Ledger) -> None:
    for total in (4, 2, 3, 5):
        ledger.status = had(total)
        await ledger.show([])
    await ledger.intake.step()
    assert stock(ledger) == [4, 2, 3, 5]


@pytest.mark.parametrize("flips", [0, MOST_CHANGES - 2, MOST_CHANGES, 3 * MOST_CHANGES + 1])
async def test_no_flip_hides_a_sale_of_more_than_there_is(ledger: Ledger, flips: int) -> None:
    """Four GPUs, then so many flips, then two are left: two runs of two each are one too many."""
    clock = Jumping()
    clock.seconds = NOW_S - 200.0
    ledger.view._clock = clock  # type: ignore[attr-defined]
    for at in range(flips):
        ledger.status = had(4 + at % 2)
        await ledger.show([])
    ledger.status = had(2)
    await ledger.show([])
    path = WORKGRANT.path("hansa-node-tartu", "aij-0-e4")
    ledger.hub.put(path, {"metadata": {"name": "aij-0-e4"}, "spec": grant(job(), epoch=4)})
    first = changed(receipts()[0], held=[])
    second = receipts(epoch=4)[0]
    second = changed(second, held=[], sequence=2, previous=head_after(first).digest)
    await ledger.step(shown([first, second]))
    assert ledger.disputes == {("GpuSoldTwice", "receipt")}
    assert len(ledger.reader.lines(UID)) <= 1


def exact(totals: list[int], step_s: float = 60.0) -> list[int]:
    """Return what counts after each of what a node said, a minute apart."""
    said, counted = Declarations(), []
    for at, total in enumerate(totals):
        found = said.heard(node(total), int(NOW_MS + at * step_s * 1000))
        counted.append(None if found is None else dict(found.body["gpus"]).get(CLASS, 0))
    kept: list[int] = []
    for one in counted:
        kept.append(kept[-1] if one is None else one)  # type: ignore[arg-type]
    return kept


def test_a_rolling_upgrade_counts_as_it_is_told() -> None:
    totals = [160 - 8 * (at % 2) for at in range(80)]
    assert exact(totals) == totals


def test_what_counts_is_never_more_than_what_was_told() -> None:
    totals = [(7 * at * at + 3 * at) % 11 for at in range(5 * MOST_CHANGES)]
    counted = exact(totals)
    assert all(one <= told for one, told in zip(counted, totals, strict=True))
    assert counted[MOST_CHANGES:].count(0) > MOST_CHANGES


def test_a_node_that_is_calm_again_counts_as_it_is_told() -> None:
    said = Declarations()
    for at in range(2 * MOST_CHANGES):
        said.heard(node(at % 2), NOW_MS + at)
    assert said.heard(node(9), NOW_MS + 3 * MOST_CHANGES) is None
    found = said.heard(node(9), NOW_MS + WINDOW_S * 1000 + 3 * MOST_CHANGES)
    assert found is not None
    assert found.body["gpus"] == {CLASS: 9}


def test_what_the_league_s_admin_declares_of_its_power_always_counts() -> None:
    said = Declarations()
    for at in range(2 * MOST_CHANGES):
        said.heard(node(at % 2), NOW_MS + at)
    found = said.heard(node(9, grams=20), NOW_MS + 3 * MOST_CHANGES)
    assert found is not None
    assert found.body["carbon"]["gramsPerKwh"] == 20
    assert sum(found.body["gpus"].values()) == 0


def stocks(*totals: dict[str, int], step_s: float = 300.0) -> list[dict[str, int]]:
    """Return what counts after each of what a node said of all its classes."""
    said, counted = Declarations(), [dict[str, int]()]
    for at, classes in enumerate(totals):
        rows = [{"gpuClass": name, "total": total} for name, total in classes.items()]
        thing = {"metadata": {"name": "tartu"}, "status": {"inventory": rows}}
        found = said.heard(thing, int(NOW_MS + at * step_s * 1000))
        counted.append(counted[-1] if found is None else dict(found.body["gpus"]))
    return counted[1:]


def test_of_a_machine_that_comes_and_goes_all_day_the_least_counts() -> None:
    totals = [{CLASS: 56 if at % 2 else 64, "h200": 8} for at in range(900)]
    counted = stocks(*totals)
    assert {one[CLASS] for one in counted} == {56, 64}
    assert all(one["h200"] == 8 for one in counted)
    assert all(one[CLASS] <= told[CLASS] for one, told in zip(counted, totals, strict=True))


def test_a_fall_behind_many_rises_costs_what_fell_and_no_more() -> None:
    rises = [{CLASS: 8 * at, "h200": 64} for at in range(1, 251)]
    counted = stocks(*rises, {CLASS: 1000, "h200": 64}, {CLASS: 1000}, step_s=60.0)
    assert counted[-3] == {CLASS: 8 * (MOST_CHANGES + 1), "h200": 64}
    assert counted[-2] == {CLASS: 1000, "h200": 64}
    assert counted[-1] == {CLASS: 1000}


def test_a_node_that_falls_without_end_fills_no_table() -> None:
    totals = [10_000 - at for at in range(3 * MOST_CHANGES)]
    counted = exact(totals, step_s=10.0)
    assert all(one <= told for one, told in zip(counted, totals, strict=True))
    assert len(set(counted)) == 2 * MOST_CHANGES
