"""What a run costs: the member's figures count only as far as the gang could have gone."""

import pytest

from hansa.accounting.tariff import Rate, Tariff
from hansa.api.aijob import AIJobSpec
from hansa.model.snapshot import Machines, Site
from hansa.model.times import rfc3339
from hansa.reconcile.hub.grant_view import parse_grant
from hansa.reconcile.hub.nodes import ParsedNode
from hansa.reconcile.hub.status.billing import Bill, bill, earlier, settled, so_far
from tests.unit.reconcile.hub.hub_objects import NOW_S, SPEC, condition, grant_manifest

HOUR_S = 3600
GIB = 1 << 30
EURO = 1_000_000
L40S = Machines(2, 4, "nvidia-l40s", 48 * GIB, 64_000, 256 * GIB)
H200 = Machines(1, 8, "nvidia-h200", 141 * GIB, 128_000, 512 * GIB)
PLAIN = Machines(9, 0, "", 0, 32_000, 128 * GIB)
PRICES = {"nvidia-l40s": EURO, "nvidia-h200": 4 * EURO}
SITE = Site(
    "tartu",
    "tartu",
    "tartu",
    "EE",
    frozenset({"EE"}),
    machines=(L40S, H200, PLAIN),
    gpu_hour_price=PRICES,
    cpu_hour_price=EURO // 10,
)
ONE_GPU = {"gpus": 1}


SINCE_EVER = tuple(Rate(name, price) for name, price in PRICES.items())


def node_of(site, rates):
    return ParsedNode("tartu", "u1", 1, "Accepted", site, (), tariff=Tariff("tartu", "EUR", rates))


def billed(workers, status, *, after_s=HOUR_S, site=SITE, rates=SINCE_EVER, **parts):
    ray = SPEC["ray"] | {"workers": {"count": 2, "cpu": "1", "memory": "1Gi"} | workers} | parts
    grant = parse_grant(grant_manifest(status=status))
    spec = AIJobSpec.model_validate(SPEC | {"ray": ray})
    node = None if site is None else node_of(site, rates)
    return bill(spec, grant, node, NOW_S + after_s, currency="EUR")


def ran(start_s, end_s=None, gpu_seconds=0):
    """A run that its node held from ``start_s`` on; its workers were up much later."""
    status = {"acceptedAt": rfc3339(NOW_S + start_s), "gpuSeconds": gpu_seconds}
    return status | ({"finishedAt": rfc3339(NOW_S + end_s)} if end_s is not None else {})


NEVER_UP = {"conditions": [condition("Running", "False", "ImageNotPulled")]}
WELL = {"conditions": [condition("Succeeded")]}
# Figures: GPU-seconds, wall seconds, millionths of a euro.
GPU_RUNS = {
    "not taken up": (ONE_GPU, {}, (0, 0, 0)),
    "a pull that never works": (ONE_GPU, ran(0, 900) | NEVER_UP, (1800, 900, EURO // 2)),
    "still running": (ONE_GPU, ran(600, gpu_seconds=6000), (6000, 3000, 6000 * EURO // HOUR_S)),
    "ended": (ONE_GPU, ran(0, 1800, 3600), (3600, 1800, EURO)),
    "more than the gang has": (ONE_GPU, ran(0, 1800, 10**9), (7200, 1800, 2 * EURO)),
    "started before it was granted": (ONE_GPU, ran(-9000, 1800, 1), (3600, 1800, EURO)),
    "ended before it started": (ONE_GPU, ran(1800, 600, 1), (1, 0, 277)),
    "ends in the future": (ONE_GPU, ran(0, 9000, 0), (7200, 3600, 2 * EURO)),
    "interrupted, nothing told": (ONE_GPU, ran(0, 1800), (3600, 1800, EURO)),
    "ended, nothing used": (ONE_GPU, ran(0, 1800) | WELL, (0, 1800, 0)),
    "a class": (ONE_GPU | {"gpuClass": "nvidia-h200"}, ran(0, 1800, 3600), (3600, 1800, 4 * EURO)),
    "memory": (ONE_GPU | {"gpuMemory": "80Gi"}, ran(0, 1800, 3600), (3600, 1800, 4 * EURO)),
    "just as much memory": (
        ONE_GPU | {"gpuMemory": "141Gi"},
        ran(0, 1800, 3600),
        (3600, 1800, 4 * EURO),
    ),
    "no such class": (ONE_GPU | {"gpuClass": "nvidia-a1"}, ran(0, 1800, 3600), (3600, 1800, 0)),
    "GPUs reported, none granted": ({}, ran(0, 1800, 3600), (0, 1800, 150_000)),
}


@pytest.mark.parametrize("case", GPU_RUNS)
def test_bills(case):
    workers, status, (gpu_seconds, wall_seconds, micros) = GPU_RUNS[case]

    assert billed(workers, status) == Bill(gpu_seconds, wall_seconds, micros, "EUR")


DEARER = tuple(Rate("nvidia-l40s", n * EURO, (NOW_S + n * 600) * 1000 * (n > 1)) for n in (1, 2, 3))
BEGAN = {
    "under the first price": (0, EURO // 2),
    "a second before the next": (1199, EURO // 2),
    "under the next, and a dearer one came": (1200, EURO),
}


@pytest.mark.parametrize("case", BEGAN)
def test_a_run_pays_the_price_that_was_valid_when_it_began(case):
    start_s, micros = BEGAN[case]
    status = ran(start_s, start_s + 900, 1800)
    l40s = ONE_GPU | {"gpuClass": "nvidia-l40s"}
    assert billed(l40s, status, rates=DEARER).cost_micros == micros


CPU_RUNS = {
    "one each": ("1", 300_000),
    "halves": ("500m", 200_000),
    "many": ("8", 1_700_000),
}


@pytest.mark.parametrize("case", CPU_RUNS)
def test_work_without_gpus_pays_its_workers_and_its_head(case):
    cpu, micros = CPU_RUNS[case]

    assert billed({"cpu": cpu}, ran(0)) == Bill(0, HOUR_S, micros, "EUR")


def test_all_groups_and_a_head_with_gpus_are_paid():
    more = {"workerGroups": [{"name": "more", "count": 3, "cpu": "4"}]}
    assert billed({}, ran(0), **more).cost_micros == 300_000 + 12 * 100_000
    # Of the two that were granted one is the head.
    alone = billed(ONE_GPU | {"count": 1}, ran(0), head={"gpus": 1})
    assert (alone.gpu_seconds, alone.cost_micros) == (2 * HOUR_S, 2 * EURO)


def test_an_unknown_site_has_no_price():
    assert billed(ONE_GPU, ran(0, gpu_seconds=60), site=None) == Bill(7200, HOUR_S, 0, "EUR")


def test_a_class_without_a_price_is_free():
    assert billed(ONE_GPU, ran(0, gpu_seconds=60), rates=()).cost_micros == 0


def test_a_clock_that_went_back_bills_nothing():
    told = billed(ONE_GPU, ran(0, gpu_seconds=60), after_s=-5)

    assert told == Bill(0, 0, 0, "EUR")


def test_what_a_job_used_so_far_is_of_all_its_runs():
    first, second = Bill(10, 20, EURO, "EUR"), Bill(1, 2, EURO // 2, "EUR")
    status = settled({}, first)

    assert so_far(status, second) == {
        "usage": {"gpuSeconds": 11, "wallSeconds": 22},
        "cost": {"amount": "1.5", "currency": "EUR"},
    }
    assert earlier(status) == first
    assert settled(status, None) == status
