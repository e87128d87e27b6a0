"""What is told of one job: which rules removed which nodes, what is next best, what would help."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.model.reasons import Reason
from hansa.model.snapshot import (
    Holding,
    Job,
    Machines,
    PlaceSet,
    Pool,
    ResidencyRule,
    Shape,
    ShardRequest,
    Site,
    Snapshot,
)
from hansa.placement.explanation import explain_job
from hansa.placement.planner import explain

GIB = 1 << 30
CLASS = "nvidia-l40s"
RACK = Machines(1, 8, CLASS, 48 * GIB, 64_000, 512 * GIB)
JOB = Job("j", "lab/j", "ut", "p", Shape(1, 8), 0)
ONLY_EE = ResidencyRule(PlaceSet(frozenset({"EE"})))
NOT_EE = ResidencyRule(PlaceSet(deny=frozenset({"EE"})))
NONSENSE = ResidencyRule(PlaceSet(frozenset({"Atlantis"})))


def site(name: str, *, price: int = 1_000_000, place: str = "EE", **more) -> Site:
    given = {"machines": (RACK,), **more}
    return Site(name, "ut", name, place, frozenset({place}), gpu_hour_price={CLASS: price}, **given)


def league(*sites: Site, job: Job = JOB, pool: Pool | None = None) -> Snapshot:
    return Snapshot(5000, sites, (pool or Pool("p"),), (job,))


def holding(**rule) -> Site:
    return site("a", datasets={"sea": "EE"}, dataset_rules=rule)


WITH_DATA = replace(JOB, data=("sea",))
TOLD = {
    "could run": (site("a"), JOB, Pool("p"), Reason.PENDING),
    "paused": (site("a", unavailable=Reason.NODE_PAUSED), JOB, Pool("p"), Reason.NODE_PAUSED),
    "being drained": (site("a", draining=True), JOB, Pool("p"), Reason.NODE_CORDONED),
    "a rule comes first": (
        site("a", place="FI", draining=True),
        replace(JOB, residency=ONLY_EE),
        Pool("p"),
        Reason.RESIDENCY_DENIED,
    ),
    "the ceiling": (
        site("a", place="FI"),
        JOB,
        Pool("p", ceiling=ONLY_EE),
        Reason.RESIDENCY_DENIED,
    ),
    "its copy": (holding(sea=NOT_EE), WITH_DATA, Pool("p"), Reason.RESIDENCY_DENIED),
    "its copy's law": (
        holding(sea=ResidencyRule(legal_control=NOT_EE.location)),
        WITH_DATA,
        Pool("p"),
        Reason.LEGAL_CONTROL_DENIED,
    ),
    "its copy's rule is nonsense": (
        holding(sea=NONSENSE),
        WITH_DATA,
        Pool("p"),
        Reason.UNKNOWN_JURISDICTION,
    ),
    "another copy's rule": (holding(land=NOT_EE), WITH_DATA, Pool("p"), Reason.PENDING),
    "no GPUs": (
        site("a", machines=(replace(RACK, gpus=0, gpu_class=""),)),
        JOB,
        Pool("p"),
        Reason.NO_SUCH_ACCELERATOR,
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_the_verdict_on_a_node(name):
    where, job, pool, reason = TOLD[name]

    [verdict] = explain(league(where, job=job, pool=pool), "j")

    assert (verdict.site, verdict.reason) == ("a", reason)
    assert bool(verdict.message) is (reason not in {Reason.PENDING, Reason.NODE_PAUSED})


OUTSIDE = {
    "not named": Pool("p", site_names=frozenset({"b"})),
    "another place": Pool("p", site_jurisdictions=frozenset({"PT"})),
}


@pytest.mark.parametrize("pool", OUTSIDE.values(), ids=OUTSIDE)
def test_nothing_is_told_of_nodes_outside_the_pool(pool):
    snapshot = league(site("a"), site("b", place="PT"), pool=pool)

    assert [verdict.site for verdict in explain(snapshot, "j")] == ["b"]


def test_nothing_is_told_of_a_job_there_is_not():
    assert explain(league(site("a")), "k") == []
    assert explain_job(league(site("a")), "k") is None


@pytest.mark.parametrize("flipped", [False, True])
def test_a_spread_job_may_use_a_node_that_takes_any_shard(flipped):
    shards = (ShardRequest("x", ("sea",)), ShardRequest("y", ("land",)))
    spread = replace(JOB, spread=shards[::-1] if flipped else shards)
    sites = (site("a", datasets={"sea": "EE"}), site("b", datasets={"land": "EE"}), site("c"))

    told = {verdict.site: verdict.reason for verdict in explain(league(*sites, job=spread), "j")}

    assert told == {"a": Reason.PENDING, "b": Reason.PENDING, "c": Reason.DATA_ELSEWHERE}
    placed = explain_job(league(*sites, job=spread), "j")
    assert (placed.sites, placed.runner_up) == (("b", "a") if flipped else ("a", "b"), "")


def test_the_runner_up_and_what_it_would_cost_more():
    story = explain_job(league(site("a"), site("b", price=1_500_000)), "j")

    assert (story.sites, story.runner_up, story.price_gap_micros_per_hour) == (
        ("a",),
        "b",
        4_000_000,
    )
    assert story.sentence == "Placed; next best is b at +4.000000 an hour"


def test_a_job_that_runs_is_told_where():
    running = replace(JOB, holdings=(Holding("a", 1, 1, 0, gpu_class=CLASS),))

    story = explain_job(league(site("a"), job=running), "j")

    assert (story.reason, story.sites, story.runner_up) == (Reason.PLACED, ("a",), "")


HELP = {
    "its residency": (site("a", place="FI"), {"residency": ONLY_EE}, {}, "its own residency rule were wider"),
    "the ceiling": (site("a", place="FI"), {}, {"ceiling": ONLY_EE}, "the ceiling of pool p were wider"),
    "the holder": (holding(sea=NOT_EE), {"data": ("sea",)}, {}, "the holders of its data let it go further"),
    "the refusal": (site("a"), {"refused_by": {"a": "no"}}, {}, "a no longer refused it"),
    "the node": (site("a", unavailable=Reason.NODE_UNREACHABLE), {}, {}, "a took work again"),
    "the drain": (site("a", draining=True), {}, {}, "a took work again"),
    "room": (site("a"), {"shape": Shape(2, 8)}, {}, "a had 16 GPUs more"),
}  # fmt: skip


@pytest.mark.parametrize("name", HELP)
def test_what_would_help(name):
    where, of_job, of_pool, words = HELP[name]
    snapshot = league(where, job=replace(JOB, **of_job), pool=Pool("p", **of_pool))

    story = explain_job(snapshot, "j")

    assert story.remedy.words == words
    assert story.sentence.endswith(f"it would start now if {words}")


def test_nothing_helps_a_job_of_no_pool():
    story = explain_job(league(site("a"), job=replace(JOB, pool="q")), "j")

    assert (story.reason, story.remedy) == (Reason.UNKNOWN_POOL, None)
