"""A receipt describes what was granted, under the terms that the node had then."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.api.workgrant import WorkGrantSpec
from hansa.grants.envelope import digest
from hansa.reconcile.member.usage.work_terms import Terms, price_of, work_of
from tests.unit.grants.grant_kit import HUB, NODE, NOW_S, authorized, grant, job

NODE_SPEC = {
    "prices": [{"gpuClass": "nvidia-rtx-4090", "perGpuHour": "0.75"}],
    "cpuHourPrice": "0.02",
    "currency": "SEK",
}


def terms(**changes: Any) -> Terms:
    said = {
        "node_key": NODE.key_id,
        "jurisdiction": "EE",
        "gpu_class": "nvidia-rtx-4090",
        "node_spec": NODE_SPEC,
        "assurance": "L2",
    }
    return Terms(**said | changes)


def spec(body: dict[str, Any] | None = None) -> WorkGrantSpec:
    return WorkGrantSpec.model_validate(grant(body))


def test_work_is_what_was_granted():
    wire = grant(authorized(job(), purpose="screening"))
    work = work_of(WorkGrantSpec.model_validate(wire), terms())
    assert (work.league, work.node_key) == (HUB.key_id, NODE.key_id)
    assert (work.node, work.institution) == (wire["node"], wire["institution"])
    assert (work.job_uid, work.epoch) == (wire["job"]["uid"], wire["epoch"])
    assert work.spec_digest == digest(wire["jobSpec"])
    assert work.image_digest == "sha256:" + "0" * 64
    assert work.data_sets == ("cohort",)
    assert work.purpose == "screening"
    assert (work.gpu_class, work.gpus, work.cpu_millis) == ("nvidia-rtx-4090", 2, 3000)
    assert work.assurance == "L2"
    assert work.price is not None
    assert (work.price.gpu_hour, work.price.cpu_hour, work.price.currency) == (
        "0.75",
        "0.02",
        "SEK",
    )


def test_work_without_gpus_has_no_class_and_no_price_for_one():
    body = job(ray={"version": "2.60.0", "workers": {"count": 3, "cpu": "1500m"}})
    work = work_of(spec(body), terms(gpu_class=""))
    assert (work.gpu_class, work.gpus, work.cpu_millis) == (None, 0, 5500)
    assert work.price is not None
    assert work.price.gpu_hour is None


STRANGE: dict[str, Any] = {
    "never_shown": None,
    "prices_that_are_none": {"prices": "free"},
    "a_negative_price": {"cpuHourPrice": "-1"},
    "a_number": {"cpuHourPrice": 0.5},
    "a_currency_that_is_none": {"currency": ["EUR"]},
    "too_large": {"prices": [], "cpuHourPrice": 10**400},
}


@pytest.mark.parametrize("node_spec", STRANGE.values(), ids=STRANGE.keys())
def test_a_price_that_cannot_be_read_is_none(node_spec: Any):
    assert price_of(node_spec, "nvidia-rtx-4090", 0.0) is None


def test_another_tariff_has_another_digest():
    one, other = (price_of(s, None, 0.0) for s in (NODE_SPEC, NODE_SPEC | {"cpuHourPrice": "0.03"}))
    assert one is not None
    assert other is not None
    assert one.tariff != other.tariff


DATED = [
    {"gpuClass": "nvidia-rtx-4090", "perGpuHour": "0.50"},
    {"gpuClass": "nvidia-rtx-4090", "perGpuHour": "0.90", "validFrom": "2027-01-15T08:00:00Z"},
    {"gpuClass": "nvidia-rtx-4090", "perGpuHour": "0.70", "validFrom": "2027-01-15T07:00:00Z"},
]
BEGINS = {
    "before_all": (0.0, "0.50"),
    "in_between": (NOW_S - 1, "0.70"),
    "after_all": (NOW_S, "0.90"),
}


@pytest.mark.parametrize(("begin_s", "price"), BEGINS.values(), ids=BEGINS)
def test_a_run_pays_what_was_valid_when_it_began(begin_s: float, price: str):
    """The ledger holds the receipt against the same rule: another price would be disputed."""
    found = price_of({"prices": DATED}, "nvidia-rtx-4090", begin_s)
    assert found is not None
    assert found.gpu_hour == price


def test_the_project_is_the_grant_s_which_knows_the_default_too():
    granted = WorkGrantSpec.model_validate(grant(job(), project="screening"))
    assert work_of(granted, terms()).project == "screening"
    assert work_of(spec(job()), terms()).project is None
