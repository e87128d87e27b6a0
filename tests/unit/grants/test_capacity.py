"""Which class of GPU serves a job: slices one a worker, unknown memory for nobody who asks for memory."""

from __future__ import annotations

from hansa.grants.checks import judge
from hansa.grants.facts import GpuStock
from hansa.grants.reasons import MemberReason
from tests.unit.grants.grant_kit import facts, grant, job, policy, small


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


def test_the_smallest_card_that_fits_is_chosen():
    judged = judge(grant(job(ray=small(gpuMemory="20Gi"))), policy(), facts())
    assert judged.gpu_class == "nvidia-rtx-4090"
    judged = judge(grant(job(ray=small(gpuMemory="30Gi"))), policy(), facts())
    assert judged.gpu_class == "nvidia-l40s"
    assert judge(grant(job(ray={"version": "2.54.0"})), policy(), facts()).gpu_class == ""


def test_an_elastic_gang_is_judged_by_the_workers_it_is_granted():
    elastic = job(ray=small(count=16, minCount=2))
    stock = {"nvidia-rtx-4090": GpuStock(8, 24 << 30)}

    assert judge(grant(elastic, workers=8), policy(), facts(stock=stock)).accepted
    (objection,) = judge(grant(elastic, workers=9), policy(), facts(stock=stock)).objections
    assert objection.reason is MemberReason.GPUS_NOT_LENT
