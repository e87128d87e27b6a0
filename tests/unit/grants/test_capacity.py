"""Which class of GPU serves a job: slices one a worker, unknown memory for nobody who asks for memory."""

from __future__ import annotations

from hansa.grants.checks import judge
from hansa.grants.facts import GpuStock
from hansa.grants.reasons import MemberReason
from tests.unit.grants.grant_kit import facts, grant, job, policy


def small(**workers):
    return {"version": "2.60.0", "workers": {"count": 2, "gpus": 1} | workers}


def test_slices_serve_one_a_worker_and_the_owner_is_told_so():
    stock = {"nvidia-tesla-t4-shared": GpuStock(8, 4 << 30, is_slice=True)}
    two = judge(grant(job(ray=small(gpus=2, count=2))), policy(), facts(stock=stock))
    assert two.objections[0].message == (
        "one worker asks for 2 of nvidia-tesla-t4-shared, which are slices and may be of one card: ask"
        " for 1 GPU a worker and for more workers"
    )
    one = judge(grant(job(ray=small(gpus=1, count=4))), policy(), facts(stock=stock))
    assert one.gpu_class == "nvidia-tesla-t4-shared"


def test_a_card_whose_memory_nobody_tells_serves_who_asks_for_none():
    stock = {"nvidia-gb10": GpuStock(8, 0)}
    least = judge(grant(job(ray=small(gpuMemory="1Gi"))), policy(), facts(stock=stock))
    assert [o.reason for o in least.objections] == [MemberReason.GPUS_NOT_LENT]
    assert judge(grant(job(ray=small())), policy(), facts(stock=stock)).gpu_class == "nvidia-gb10"
