"""What is told of one job: which rules removed which nodes, what is next best, what would help."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.model.reasons import Reason
from hansa.model.snapshot import (
    Cap,
    Holding,
    Job,
    Machines,
    PlaceSet,
    Pool,
    PreemptionRule,
    ResidencyRule,
    Shape,
    Share,
    Site,
    Snapshot,
)
from hansa.placement.planner import explain
from hansa.placement.whatif.explain_job import explain_job

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
    "not accepted, and nothing known of it": (
        site("a", machines=(), unavailable=Reason.NODE_NOT_ACCEPTED, unavailable_message="m"),
        JOB,
        Pool("p"),
        Reason.NODE_NOT_ACCEPTED,
    ),
    "silent, and nothing known of it": (
        site("a", machines=(), unavailable=Reason.NODE_UNREACHABLE, unavailable_message="m"),
        JOB,
        Pool("p"),
        Reason.NODE_UNREACHABLE,
    ),
    "silent, and known to be too small": (
        site("a", unavailable=Reason.NODE_UNREACHABLE),
        replace(JOB, shape=Shape(2, 8)),
        Pool("p"),
        Reason.EXCEEDS_NODE_SHAPE,
    ),
    "not accepted, and denied by law": (
        site("a", place="FI", unavailable=Reason.NODE_NOT_ACCEPTED, unavailable_message="m"),
        replace(JOB, residency=ONLY_EE),
        Pool("p"),
        Reason.NODE_NOT_ACCEPTED,
    ),
    "disputed, and without what is needed": (
        site("a", unavailable=Reason.JURISDICTION_DISPUTED, unavailable_message="m"),
        replace(JOB, shape=Shape(1, 8, "amd-mi210")),
        Pool("p"),
        Reason.JURISDICTION_DISPUTED,
    ),
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
        *(holding(sea=NONSENSE), WITH_DATA, Pool("p")),
        Reason.UNKNOWN_JURISDICTION,
    ),
    "another copy's rule": (holding(land=NOT_EE), WITH_DATA, Pool("p"), Reason.PENDING),
    "no GPUs": (
        site("a", machines=(replace(RACK, gpus=0, gpu_class=""),)),
        JOB,
        Pool("p"),
        Reason.NO_ACCELERATOR,
    ),
    "GPUs, and none of that class": (
        site("a"),
        replace(JOB, shape=Shape(1, 8, "amd-mi210")),
        *(Pool("p"), Reason.NO_SUCH_ACCELERATOR),
    ),
    "no GPUs, and not lawful either": (
        site("a", place="FI", machines=(replace(RACK, gpus=0, gpu_class=""),)),
        replace(JOB, residency=ONLY_EE),
        Pool("p"),
        Reason.RESIDENCY_DENIED,
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


PLAIN = replace(RACK, gpus=0, gpu_class="", gpu_memory_bytes=0)
BLOCKED = {"residency": ONLY_EE}
HELP = {
    "its residency": (site("a", place="FI"), BLOCKED, {}, "its own residency rule were wider"),
    "the ceiling": (site("a", place="FI"), {}, {"ceiling": ONLY_EE}, "the ceiling of pool p were wider"),
    "both": (
        site("a", place="FI"), BLOCKED, {"ceiling": ONLY_EE},
        "its own residency rule and the ceiling of pool p were wider",
    ),
    "the holder": (holding(sea=NOT_EE), {"data": ("sea",)}, {}, "the holders of its data let it go further"),
    "all three": (
        holding(sea=NOT_EE), {"data": ("sea",), "residency": NOT_EE}, {"ceiling": NOT_EE},
        "its own residency rule, the ceiling of pool p and its data's were wider",
    ),
    "its data": (site("a", datasets={"sea": "EE"}), {"data": ("sea", "land")}, {}, None),
    "the refusal": (site("a"), {"refused_by": {"a": "no"}}, {}, "a no longer refused it"),
    "the node": (site("a", unavailable=Reason.NODE_UNREACHABLE), {}, {}, "a took work again"),
    "the drain": (site("a", draining=True), {}, {}, "a took work again"),
    "room": (site("a"), {"shape": Shape(2, 8)}, {}, f"a had 16 {CLASS} GPUs more"),
    "room for the fewest workers": (site("a"), {"shape": Shape(4, 8, min_workers=2)}, {}, f"a had 16 {CLASS} GPUs more"),
    "room without GPUs": (
        site("a", machines=(PLAIN,)), {"shape": Shape(2, cpu_millis=60_000)}, {}, "a had more machines",
    ),
    "room of a class that is not there": (
        site("a", machines=(PLAIN,)), {"shape": Shape(1, 8, "amd-mi210")}, {}, "a had 8 amd-mi210 GPUs more",
    ),
    "room of a class that the pool wants": (
        site("a"), {}, {"gpu_classes": frozenset({"amd-mi210"})}, "a had 8 amd-mi210 GPUs more",
    ),
    "room of no known class": (site("a", machines=(PLAIN,)), {}, {}, None),
    "the lending limit": (site("a", lent_gpus={CLASS: 4}), {}, {}, "a lent all its GPUs"),
    "room, with as much lent": (
        site("a", lent_gpus={CLASS: 4, "amd-mi210": 0}), {"shape": Shape(2, 8)}, {}, f"a had 16 {CLASS} GPUs more",
    ),
    "its assurance": (site("a", assurance=1), {"assurance": 3}, {}, "it asked for L1 only"),
    "the pool's": (site("a", assurance=1), {"assurance": 1}, {"assurance": 2}, "pool p asked for L1 only"),
    "both's": (site("a"), {"assurance": 1}, {"assurance": 2}, "it and pool p asked for L0 only"),
    "its budget": (site("a"), {"max_runtime_s": 3601, "budget_micros": 8_000_000}, {}, "its budget were 8.01"),
    "its owner": (site("a"), {"barred": Reason.SUSPENDED}, {}, "its owner resumed it"),
    "its old run": (site("a"), {"barred": Reason.WAITING_FOR_RELEASE}, {}, "its old run were released"),
    "a share": (site("a"), {}, {"shares": (Share("ua", nominal_gpus=8),)}, "ut had a share of 8 GPUs in pool p"),
    "its share": (
        site("a"), {}, {"shares": (Share("ut", nominal_gpus=2, borrowing_limit=0), Share("ua", nominal_gpus=6))},
        "ut had 8 GPUs more of pool p",
    ),
    "its share and room": (
        site("a"), {"shape": Shape(2, 8)}, {"shares": (Share("ut", nominal_gpus=2, borrowing_limit=0),)},
        f"ut had 16 GPUs more of pool p and a had 16 {CLASS} GPUs more",
    ),
    "a cap": (site("a"), {}, {"caps": (Cap("Operator", 50),)}, "the cap of 50 % on Operator were lifted"),
    "all caps": (
        site("a"), {}, {"caps": (Cap("Operator", 50), Cap("Vendor", 50))}, "all concentration caps were lifted",
    ),
    "nothing that is known": (site("a"), {"shape": Shape(0, 8)}, {}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", HELP)
def test_what_would_help(name):
    where, of_job, of_pool, words = HELP[name]
    snapshot = league(where, job=replace(JOB, **of_job), pool=Pool("p", **of_pool))

    story = explain_job(snapshot, "j")

    assert (story.remedy.words if story.remedy else None) == words
    assert story.sentence.endswith(f"it would start now if {words}") is (words is not None)


def busy(*jobs: Job) -> Snapshot:
    """One rack that is full with ``h``, in a pool that reclaims."""
    running = replace(
        JOB, uid="h", name="lab/h", holdings=(Holding("a", 1, 1, 0, gpu_class=CLASS),)
    )
    pool = Pool("p", preemption=PreemptionRule(lower_priority=True, min_runtime_s=0))
    return Snapshot(5000, (site("a"),), (pool,), (running, *jobs))


def test_what_is_stopped_for_a_job_is_named():
    story = explain_job(busy(replace(JOB, priority=9)), "j")

    assert story.reason is Reason.WAITING_FOR_PREEMPTION
    assert story.remedy.words == "lab/h had ended"


def test_who_comes_first_is_counted_where_room_alone_does_not_help():
    """Two urgent jobs take turns: one victim, and the other job ahead."""
    urgent = [replace(JOB, uid=name, name=f"lab/{name}", priority=9) for name in ("i", "j")]
    first, second = (explain_job(busy(*urgent), job.uid) for job in urgent)

    assert first.remedy.words == "lab/h had ended"
    assert second.reason is Reason.WAITING_FOR_CAPACITY
    assert second.remedy.words == f"a had 16 {CLASS} GPUs more"


def test_a_job_that_is_stopped_is_told_why():
    story = explain_job(busy(replace(JOB, priority=9)), "h")

    assert (story.reason, story.sites) == (Reason.PREEMPTED, ("a",))
    assert story.message


def test_a_full_node_is_not_next_best():
    """The runner-up is where the job would be, not the next of a price list."""
    full = replace(JOB, uid="h", name="lab/h", holdings=(Holding("b", 1, 1, 0, gpu_class=CLASS),))
    sites = (site("a"), site("b", price=1_500_000), site("c", price=2_000_000))
    story = explain_job(Snapshot(5000, sites, (Pool("p"),), (JOB, full)), "j")

    assert (story.runner_up, story.price_gap_micros_per_hour) == ("c", 8_000_000)


def test_what_runs_may_have_a_cheaper_runner_up():
    running = replace(JOB, holdings=(Holding("a", 1, 1, 0, gpu_class=CLASS),))
    story = explain_job(league(site("a"), site("b", price=500_000), job=running), "j")

    assert (story.sites, story.next_best) == (("a",), "next best is b at -4.000000 an hour")


def test_in_a_large_league_few_remedies_are_tried(monkeypatch):
    """Each costs a plan: of nine nodes only the last would help, and eight are tried."""
    refusing = replace(JOB, refused_by={f"s{n}": "no" for n in range(9)})
    sites = tuple(site(f"s{n}", assurance=int(n == 8)) for n in range(9))
    snapshot = Snapshot(5000, sites, (Pool("p", assurance=1),), (refusing,))

    assert explain_job(snapshot, "j").remedy.words == "s8 no longer refused it"
    monkeypatch.setattr("hansa.placement.whatif.explain_job.JOBS_PLANNED", 1)
    assert explain_job(snapshot, "j").remedy is None


def test_room_by_way_of_trial_lifts_no_lending_limit():
    """As many more are lent as there are more; that all are lent is a remedy of its own."""
    where = site("a", lent_gpus={CLASS: 4, "amd-mi210": 1})
    story = explain_job(league(where, job=replace(JOB, shape=Shape(2, 8))), "j")

    [changed] = story.remedy.changed.sites
    assert story.remedy.words == f"a had 16 {CLASS} GPUs more"
    assert changed.lent_gpus == {CLASS: 20, "amd-mi210": 1}


NONE = "it lends no GPU at all"
LENT = {
    "any": (Shape(1, 1), Pool("p"), "lends no GPU at all"),
    "of a size": (Shape(1, 1, "", 40 * GIB), Pool("p"), f"lends no GPU of at least 40 GiB; {NONE}"),
    "of a class": (Shape(1, 1, "amd-mi210"), Pool("p"), f"lends no amd-mi210; {NONE}"),
    "that the pool admits": (
        Shape(1, 1),
        Pool("p", gpu_classes=frozenset({"amd-mi210"})),
        "lends no GPU that pool p admits (amd-mi210); it lends no GPU at all",
    ),
    "that the pool does not admit": (
        Shape(1, 1, CLASS),
        Pool("p", gpu_classes=frozenset({"amd-mi210"})),
        f"lends no {CLASS}; pool p admits amd-mi210 only; it lends no GPU at all",
    ),
}


@pytest.mark.parametrize(("shape", "pool", "words"), LENT.values(), ids=LENT)
def test_a_missing_gpu_is_named_as_it_was_asked_for(shape, pool, words):
    small = replace(RACK, gpus=0, gpu_class="", gpu_memory_bytes=0)
    snapshot = league(site("a", machines=(small,)), job=replace(JOB, shape=shape), pool=pool)
    (verdict,) = explain(snapshot, "j")
    assert (verdict.reason, verdict.message) == (Reason.NO_ACCELERATOR, words)


def test_where_other_gpus_are_lent_no_more_is_said():
    snapshot = league(site("a"), job=replace(JOB, shape=Shape(1, 1, "amd-mi210")))
    (verdict,) = explain(snapshot, "j")
    assert verdict.message == "lends no amd-mi210"


def test_the_state_that_is_told_is_counted_too():
    shut = site("a", machines=(), unavailable=Reason.NODE_NOT_ACCEPTED, unavailable_message="no")
    (verdict,) = explain(league(shut), "j")
    story = explain_job(league(shut), "j")
    assert (verdict.reason, verdict.message) == (Reason.NODE_NOT_ACCEPTED, "no")
    assert story.message == "no node may take it: 1 NodeNotAccepted"
