"""Each way a use can be wrong, by its name and the field that is wrong."""

from dataclasses import replace
from typing import Any

import pytest

from hansa.accounting.examination import Fault, Terms, examine
from hansa.accounting.tariff import Rate
from hansa.api.job.ray_shape import MOST_GROUPS, RayShape
from tests.unit.accounting.usages import BEGAN_MS, TARIFF, usage

LATER = replace(TARIFF, rates=(*TARIFF.rates, Rate("h100", 9_000_000, BEGAN_MS + 1)))
TERMS = Terms(BEGAN_MS + 300_000, frozenset({"EUR"}), {"tartu": LATER})

WRONG: dict[str, tuple[dict[str, Any], Fault, str]] = {
    "another key's digest": ({"receipt_digest": "sha256:1"}, Fault.MALFORMED, "receiptDigest"),
    "a name that is none": ({"node": "tartu\x00"}, Fault.MALFORMED, "node"),
    "a project that is none": ({"project": "clinic/\ud800"}, Fault.MALFORMED, "project"),
    "data sets without end": ({"data_sets": ("a",) * 257}, Fault.MALFORMED, "data_sets"),
    "a number no database holds": ({"cpu_ms": 1 << 70}, Fault.ABSURD_AMOUNT, "cpu_ms"),
    "nobody to pay": ({"institution": ""}, Fault.MALFORMED, "institution"),
    "GPUs of no class": ({"gpu_class": ""}, Fault.MALFORMED, "gpuClass"),
    "an empty interval": ({"end_ms": BEGAN_MS}, Fault.BAD_INTERVAL, "start"),
    "before it began": ({"began_ms": BEGAN_MS + 1}, Fault.BAD_INTERVAL, "start"),
    "a clock ahead": ({"end_ms": BEGAN_MS + 360_001}, Fault.IN_THE_FUTURE, "end"),
    "negative energy": ({"energy_j": -1}, Fault.NEGATIVE, "energy_j"),
    "a negative price": ({"unit_price": -1}, Fault.NEGATIVE, "unit_price"),
    "a GPU used twice": ({"gpu_ms": 600_001}, Fault.MORE_THAN_TIME, "gpuSeconds"),
    "an absurd gang": ({"gpus": 1 << 20}, Fault.ABSURD_AMOUNT, "amount"),
    "an absurd price": ({"unit_price": 10**18}, Fault.ABSURD_AMOUNT, "amount"),
    "an unknown currency": ({"currency": "XTS"}, Fault.UNKNOWN_CURRENCY, "currency"),
    "a price where there is none": ({"gpu_class": "b300"}, Fault.WRONG_PRICE, "unitPrice"),
    "an unknown node": ({"node": "narva"}, Fault.NO_TARIFF, "node"),
    "a later price": ({"unit_price": 9_000_000}, Fault.WRONG_PRICE, "unitPrice"),
}


@pytest.mark.parametrize("case", WRONG)
def test_names_what_is_wrong(case: str) -> None:
    changes, fault, field = WRONG[case]
    assert (fault, field) in {(row.fault, row.field) for row in examine(usage(**changes), TERMS)}


GROUP = {"count": 1024, "gpus": 16}
LARGEST_GANG = RayShape.model_validate(
    {
        "version": "2.60.0",
        "head": {"gpus": 16},
        "workers": GROUP,
        "workerGroups": [{"name": f"g{number}", **GROUP} for number in range(MOST_GROUPS)],
    }
)
SOUND: dict[str, dict[str, Any]] = {
    "as it is": {},
    "a clock a little ahead": {"end_ms": BEGAN_MS + 360_000},
    "free of charge": {"gpu_class": "b300", "unit_price": 0},
    "without energy": {"energy_j": None},
    "the largest gang there is": {"gpus": LARGEST_GANG.gang[1] * LARGEST_GANG.workers.gpus},
    "by CPU": {"gpu_class": "", "gpus": 0, "gpu_ms": 0, "unit_price": 36_000},
}


@pytest.mark.parametrize("case", SOUND)
def test_finds_nothing_in_what_is_right(case: str) -> None:
    assert examine(usage(**SOUND[case]), TERMS) == ()


def test_a_long_run_keeps_the_price_it_began_with() -> None:
    late = usage(start_ms=BEGAN_MS + 10, end_ms=BEGAN_MS + 300_000, gpu_ms=599_980)
    assert examine(late, TERMS) == ()
