"""The usage records hold to the rules of the record that grid accounting loads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from e2e.bench.ledger.uses import drawn
from hansa.accounting.exports.usage_record import usage_records
from tests.unit.accounting.exports.car_rules import violations
from tests.unit.accounting.usages import USES, usage

ODD = (
    usage("no cpu", cpu_ms=0),
    usage("a second", end_ms=usage().start_ms + 1000, gpu_ms=2000),
    usage("a name for XML", job="clinic/<&>", project=""),
)


def test_every_record_conforms() -> None:
    assert [*violations(usage_records([*USES, *ODD, *drawn(60, seed=3)]))] == []


SPOILT = {
    "no middleware": (
        '<urf:Middleware urf:name="hansa"',
        '<urf:Mid urf:name="hansa"',
        "Middleware",
    ),
    "a benchmark that nobody takes": ('urf:type="hepspec"', 'urf:type="custom"', "custom"),
    "a time in words": ("<urf:EndTime>2026-11-01T00:05:00Z", "<urf:EndTime>soon", "EndTime is"),
    "another namespace": ("2012/11/computerecord", "2012/10/computerecord", "the root is"),
    "no user": ("<urf:LocalUserId>clinic", "<urf:LocalUserId>", "LocalUserId is empty"),
}


@pytest.mark.parametrize(("old", "new", "says"), SPOILT.values(), ids=SPOILT)
def test_the_rules_find_what_is_wrong(old: str, new: str, says: str) -> None:
    made = usage_records(USES[:1]).decode()
    assert old in made
    found = " ".join(violations(made.replace(old, new).encode()))
    assert says in found


def test_processors_are_cpus_and_gpus_stand_apart() -> None:
    told = usage_records(
        [usage(), replace(usage(2), gpus=0, gpu_class="", cpu_ms=900_000)]
    ).decode()
    # 1,200 CPU-seconds in 300 s are four CPUs, whatever GPUs they drove.
    assert [told.count(f"<urf:Processors>{n}<") for n in (4, 3, 2)] == [1, 1, 0]
    assert told.count(">600</urf:ConsumableResource>") == 1
    assert '<urf:Charge urf:unit="EUR">0.40</urf:Charge>' in told
