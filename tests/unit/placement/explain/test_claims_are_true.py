"""What is told of a job is true: undo what is named, by code of the tests alone, and look.

A reason to wait, a verdict on a node, a remedy and a runner-up are claims. Each is counted, so that
none is believed because it was never made.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache

import pytest

from hansa.model.plan import Placement
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Snapshot
from hansa.placement.planner import explain
from hansa.placement.whatif.explain_job import Explanation, explain_job
from hansa.placement.whatif.remedies import Remedy
from tests.unit.placement.explain.claims import (
    Case,
    leagues,
    outcome,
    spread,
    starts,
    verdicts,
    waits,
)
from tests.unit.placement.leagues.faulty_leagues import CLOSED

WAITS = {
    Reason.MISCONFIGURED: (4, 3),
    Reason.UNKNOWN_JURISDICTION: (6, 4),
    Reason.UNKNOWN_POOL: (4, 2),
    Reason.NOT_ADMITTED_TO_POOL: (4, 3),
    Reason.NO_INSTITUTION: (4, 3),
    Reason.UNKNOWN_DATASET: (4, 3),
    Reason.NODE_NOT_ACCEPTED: (2, 2),
    Reason.JURISDICTION_DISPUTED: (2, 2),
    Reason.RESIDENCY_DENIED: (8, 4),
    Reason.LEGAL_CONTROL_DENIED: (8, 4),
    Reason.DATA_ELSEWHERE: (8, 4),
    Reason.ASSURANCE_TOO_LOW: (6, 4),
    Reason.NO_ACCELERATOR: (2, 2),
    Reason.NO_SUCH_ACCELERATOR: (8, 4),
    Reason.EXCEEDS_NODE_SHAPE: (8, 4),
    Reason.EXCEEDS_POOL_QUOTA: (6, 2),
    Reason.EXCEEDS_CAP: (6, 5),
    Reason.OVER_BUDGET: (4, 3),
    Reason.NODE_REFUSED: (4, 3),
    Reason.NODE_CORDONED: (6, 5),
    Reason.NODE_PAUSED: (8, 6),
    Reason.NODE_UNREACHABLE: (2, 2),
    Reason.NODE_NOT_READY: (2, 2),
    Reason.WAITING_FOR_QUOTA: (2, 2),
    Reason.WAITING_FOR_CAP: (4, 4),
    Reason.WAITING_FOR_FAIR_SHARE: (6, 6),
    Reason.WAITING_FOR_PREEMPTION: (6, 6),
    Reason.WAITING_FOR_CAPACITY: (8, 8),
    Reason.WAITING_FOR_RELEASE: (4, 3),
    Reason.SUSPENDED: (4, 3),
}
"""Reason → how often it must be seen at least, and how often the job must start then."""


def test_no_reason_to_wait_goes_unproved():
    assert set(waits()) <= set(WAITS)


@pytest.mark.parametrize("reason", WAITS)
def test_a_job_waits_for_what_it_is_told_to_wait_for(reason):
    cases = waits().get(reason, [])
    after = {str(case): outcome(case.undone(), case.job.uid) for case in cases}
    assert [name for name, now in after.items() if now is reason] == []
    least_seen, least_started = WAITS[reason]
    assert len(cases) >= least_seen
    assert sum(now is Reason.PLACED for now in after.values()) >= least_started


def test_who_waits_for_victims_does_not_start_while_they_are_there():
    for case in waits()[Reason.WAITING_FOR_PREEMPTION]:
        victims = [s for s in case.decided.stops if s.in_favour_of == case.job.uid]
        assert victims, case
        there = replace(case, decided=replace(case.decided, stops=()))
        assert outcome(there.undone(), case.job.uid) is not Reason.PLACED, case


RULES = (
    {Reason.NODE_NOT_ACCEPTED},
    {Reason.UNKNOWN_JURISDICTION, Reason.JURISDICTION_DISPUTED, Reason.RESIDENCY_DENIED, Reason.LEGAL_CONTROL_DENIED},
    {Reason.DATA_ELSEWHERE}, {Reason.ASSURANCE_TOO_LOW},
    {Reason.NO_ACCELERATOR}, {Reason.NO_SUCH_ACCELERATOR},
    {Reason.EXCEEDS_NODE_SHAPE},
    {Reason.EXCEEDS_CAP},
    {Reason.OVER_BUDGET},
    {Reason.MISCONFIGURED}, {Reason.NODE_REFUSED},
    {*CLOSED} - {Reason.NODE_NOT_ACCEPTED},
    {Reason.PENDING},
)  # fmt: skip
"""As they are applied: whether a node belongs, the law with its copies' rules …; whether it is there now last."""
ORDER = {reason: place for place, reasons in enumerate(RULES) for reason in reasons}
VERDICTS = sorted({*ORDER} - {Reason.PENDING})


def test_no_verdict_goes_unproved():
    assert set(verdicts()) == set(ORDER)


@pytest.mark.parametrize("reason", VERDICTS)
def test_without_its_rule_a_verdict_is_another_of_a_later_rule(reason):
    cases = verdicts()[reason]
    assert len(cases) >= 4
    for case in cases:
        now = {said.site: said.reason for said in explain(case.undone(), case.job.uid)}
        assert now[case.site] is not reason, case
        assert ORDER[now[case.site]] >= ORDER[reason], case


@cache
def stories() -> dict[Reason, list[tuple[Case, Explanation]]]:
    return {
        reason: [
            (case, explain_job(case.snapshot, case.job.uid, case.decided))
            for case in spread(cases, 8)
        ]
        for reason, cases in waits().items()
    }


@pytest.mark.parametrize("reason", WAITS)
def test_a_story_counts_the_nodes_that_each_rule_removed(reason):
    for case, story in stories()[reason]:
        assert story.reason is reason
        said = Counter(v.reason for v in explain(case.snapshot, case.job.uid))
        del said[Reason.PENDING]
        assert story.removed == said
        assert str(reason) in story.sentence


def changes(one: object, other: object, way: str = "") -> Iterator[str]:
    """Which fields of sites, pools and jobs differ, as ``site-1.machines``."""
    if isinstance(one, Snapshot):
        for field in fields(one):
            yield from changes(getattr(one, field.name), getattr(other, field.name), field.name)
    elif way in {"sites", "pools", "jobs"}:
        key = "uid" if way == "jobs" else "name"
        before, after = ({getattr(x, key): x for x in rows} for rows in (one, other))
        yield from (f"{way}.gone" for _ in before.keys() - after.keys())
        for name in before.keys() & after.keys():
            rows = (
                (f.name, getattr(before[name], f.name), getattr(after[name], f.name))
                for f in fields(before[name])
            )
            yield from (f"{way}.{name}.{field}" for field, was, now in rows if was != now)
    elif one != other:
        yield way


TOUCHES = {
    r"(site-\d) took work again": {"sites.{0}.unavailable", "sites.{0}.unavailable_message", "sites.{0}.draining"},
    r"(site-\d) lent all its GPUs": {"sites.{0}.lent_gpus"},
    r"(site-\d) had (\d+ [a-z0-9-]+ GPUs? more|more machines)": {"sites.{0}.machines", "sites.{0}.lent_gpus"},
    r"(site-\d) held .+": {"sites.{0}.datasets"},
    r"(site-\d) no longer refused it": {"jobs.{job}.refused_by"},
    r"\w+ had \d+ GPUs more of pool p": {"pools.p.shares"},
    r"\w+ had \d+ GPUs more of pool p and (site-\d) had .+": {"pools.p.shares", "sites.{0}.machines", "sites.{0}.lent_gpus"},
    r"\w+ had \d+ GPUs more of pool p and (site-\d) lent all its GPUs": {"pools.p.shares", "sites.{0}.lent_gpus"},
    r"\w+ had a share of \d+ GPUs in pool p": {"pools.p.shares"},
    r"the cap of \d+ % on \w+ were lifted|all concentration caps were lifted": {"pools.p.caps"},
    r"its own residency rule were wider": {"jobs.{job}.residency"},
    r"the ceiling of pool p were wider": {"pools.p.ceiling"},
    r"its own residency rule and the ceiling of pool p were wider": {"jobs.{job}.residency", "pools.p.ceiling"},
    r"its budget were \d+\.\d\d": {"jobs.{job}.budget_micros"},
    r"it asked for L\d only": {"jobs.{job}.assurance"},
    r"pool p asked for L\d only": {"pools.p.assurance"},
    r"it and pool p asked for L\d only": {"jobs.{job}.assurance", "pools.p.assurance"},
    r"its owner resumed it|its old run were released": {"jobs.{job}.barred"},
    r"the \d+ jobs ahead of it were gone": {"jobs.gone"},
    r".+ had ended( and the \d+ jobs ahead of it were gone)?": {"jobs.gone"},
}  # fmt: skip
"""Words of a remedy → all that may differ in its snapshot. The rules of copies stand below."""
HOLDERS = re.compile(r"the holders of its data let it go further|.+ and its data's were wider")
HELPED = {
    Reason.NOT_ADMITTED_TO_POOL: 2,
    Reason.RESIDENCY_DENIED: 2,
    Reason.LEGAL_CONTROL_DENIED: 1,
    Reason.DATA_ELSEWHERE: 1,
    Reason.ASSURANCE_TOO_LOW: 2,
    Reason.NO_SUCH_ACCELERATOR: 1,
    Reason.EXCEEDS_NODE_SHAPE: 1,
    Reason.EXCEEDS_CAP: 4,
    Reason.OVER_BUDGET: 2,
    Reason.NODE_REFUSED: 2,
    Reason.NODE_PAUSED: 2,
    Reason.WAITING_FOR_QUOTA: 1,
    Reason.WAITING_FOR_CAP: 4,
    Reason.WAITING_FOR_FAIR_SHARE: 4,
    Reason.WAITING_FOR_PREEMPTION: 3,
    Reason.WAITING_FOR_CAPACITY: 3,
    Reason.WAITING_FOR_RELEASE: 3,
    Reason.SUSPENDED: 3,
}
"""Reason → for how many of at most eight jobs a remedy is found at least."""


@pytest.mark.parametrize("reason", HELPED)
def test_a_remedy_changes_only_what_it_says_and_the_job_starts(reason):
    found = [(case, story.remedy) for case, story in stories()[reason] if story.remedy]
    assert len(found) >= HELPED[reason]
    for case, remedy in found:
        assert set(changes(case.snapshot, remedy.changed)) <= allowed(remedy, case), remedy.words
        assert starts(remedy.changed, case.job.uid), remedy.words


def allowed(remedy: Remedy, case: Case) -> set[str]:
    if HOLDERS.fullmatch(remedy.words):
        copies = {f"sites.{site.name}.dataset_rules" for site in case.snapshot.sites}
        own = {f"jobs.{case.job.uid}.residency", "pools.p.ceiling"}
        return {*copies, *(own if "own" in remedy.words else ())}
    way, touched = next((m, t) for r, t in TOUCHES.items() if (m := re.fullmatch(r, remedy.words)))
    return {name.format(*way.groups(), job=case.job.uid) for name in touched}


@pytest.mark.parametrize("reason", [Reason.WAITING_FOR_CAPACITY, Reason.EXCEEDS_NODE_SHAPE])
def test_as_many_gpus_are_added_as_are_said(reason):
    """No more is lent than was added: the lending limit itself is a remedy of its own."""
    said = re.compile(r"(site-\d) had (\d+) [a-z0-9-]+ GPUs? more")
    told = [
        (case, story.remedy, said.fullmatch(story.remedy.words))
        for case, story in stories()[reason]
        if story.remedy
    ]
    told = [row for row in told if row[2]]
    assert told
    for case, remedy, said in told:
        one, other = (
            next(s for s in snapshot.sites if s.name == said[1])
            for snapshot in (case.snapshot, remedy.changed)
        )
        added = sum(m.count * m.gpus for m in other.machines[len(one.machines) :])
        assert added == int(said[2])
        assert other.lent_gpus.keys() == one.lent_gpus.keys()
        assert sum(other.lent_gpus.values()) - sum(one.lent_gpus.values()) in {0, added}


def hourly(snapshot: Snapshot, job: Job, placed: Placement) -> int:
    site = next(site for site in snapshot.sites if site.name == placed.site)
    return job.shape.total_gpus * site.gpu_hour_price.get(placed.gpu_class, 0)


def test_the_runner_up_is_next_and_costs_what_is_said():
    """Where all but it refuse the job, it goes there; where none is named, it goes nowhere."""
    seen = Counter()
    for _, snapshot, decided in leagues()[::2]:
        jobs = {job.uid: job for job in snapshot.jobs}
        for placed in [p for p in decided.placements if jobs[p.job_uid].shape.gpus][:2]:
            job = jobs[placed.job_uid]
            story = explain_job(snapshot, job.uid, decided)
            closed = [s.name for s in snapshot.sites if s.name != story.runner_up]
            refusing = replace(job, refused_by=dict.fromkeys(closed, "no"))
            if not story.runner_up:
                refusing = replace(job, refused_by={**job.refused_by, placed.site: "no"})
            others = tuple(other for other in snapshot.jobs if other.uid != job.uid)
            after = starts(replace(snapshot, jobs=(*others, refusing)), job.uid)
            assert (after.site if after else "") == story.runner_up
            seen[bool(after)] += 1
            if after:
                gap = hourly(snapshot, job, after) - hourly(snapshot, job, placed)
                assert story.price_gap_micros_per_hour == gap
    assert min(seen[True], seen[False]) >= 2
