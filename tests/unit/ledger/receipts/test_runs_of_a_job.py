"""The runs of one job are found by the index, however many receipts there are."""

from __future__ import annotations

from sqlalchemy import Engine, insert, select, text

from hansa.ledger.store import schema
from hansa.ledger.store.engine import reading, writing
from hansa.ledger.store.schema import is_of_job

UID = "0b6c1a52-6f0e-4a5b-9c5e-3f0d6a1b2c3d"
MINE = [f"{UID}.{epoch}" for epoch in (1, 9, 10, 99, (1 << 53) - 1)]
OTHERS = [f"{UID[:-1]}.1", f"{UID}0.1", f"{UID[:-1]}e.1", "0.1", UID.replace("-", "_") + ".1"]


def row(sequence: int, run: str) -> dict[str, object]:
    numbers = dict.fromkeys(("part", "start_s", "end_s", "recorded_ms"), 1)
    texts = dict.fromkeys(("node_key", "node", "problem", "envelope"), "")
    return {**numbers, **texts, "sequence": sequence, "run": run, "digest": str(sequence)}


def test_all_runs_of_a_job_and_no_others(engine: Engine):
    table = schema.EVIDENCE
    with writing(engine) as connection:
        connection.execute(insert(table), [row(*one) for one in enumerate(MINE + OTHERS)])
    with reading(engine) as connection:
        found = connection.execute(select(table.c.run).where(is_of_job(table.c.run, UID)))
        assert sorted(found.scalars()) == sorted(MINE)


def test_the_index_has_them(engine: Engine):
    asked = select(schema.EVIDENCE).where(is_of_job(schema.EVIDENCE.c.run, UID))
    literal = asked.compile(engine, compile_kwargs={"literal_binds": True})
    with reading(engine) as connection:
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN {literal}")).all()
    assert "SEARCH evidence USING INDEX ix_evidence_run_part" in str(plan)
