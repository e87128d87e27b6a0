"""What makes two jobs one class, and what of it decides on law, sites and cells."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from hansa.model.reasons import Reason
from hansa.model.snapshot import Holding, Job, PlaceSet, ResidencyRule, Shape, Yielded
from hansa.placement.rules.job_classes import class_of

JOB = Job("u", "ns/u", "tartu", "league", Shape(2, 1), 0, budget_micros=5)
EU = ResidencyRule(PlaceSet(frozenset({"EU"})))
NOTHING, CLASS, CELLS, SITES, LAW = range(5)
"""The narrowest of what a field decides."""
CASES = {
    "uid": ("v", NOTHING),
    "name": ("ns/v", NOTHING),
    "institution": ("riga", CLASS),
    "pool": ("other", LAW),
    "shape": (Shape(3, 1), CELLS),
    "submitted_s": (9, NOTHING),
    "priority": (64, CLASS),
    "residency": (EU, LAW),
    "data": (("genomes",), SITES),
    "assurance": (2, SITES),
    "max_runtime_s": (60, CELLS),
    "checkpoint_s": (60, NOTHING),
    "budget_micros": (6, CELLS),
    "preemptible": (False, NOTHING),
    "refused_by": ({"site": "no"}, CELLS),
    "only_site": ("site", NOTHING),
    "holdings": ((Holding("site", 0, 2, 0),), NOTHING),
    "yielded": (Yielded("other", "site", 0), NOTHING),
    "barred": (Reason.SUSPENDED, NOTHING),
    "barred_message": ("why", NOTHING),
    "is_orphan": (True, NOTHING),
}


def test_every_field_of_a_job_is_looked_at():
    assert {one.name for one in fields(Job)} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_what_a_field_of_a_job_decides(name):
    value, decides = CASES[name]
    ours, theirs = class_of(JOB), class_of(replace(JOB, **{name: value}))

    differs = (
        ours != theirs,
        ours.cell_key != theirs.cell_key,
        ours.site_key != theirs.site_key,
        ours.law_key != theirs.law_key,
    )
    assert differs == tuple(level <= decides for level in (CLASS, CELLS, SITES, LAW))


UNSEEN = {
    "priorities in one band": {"priority": 31},
    "words of a refusal": {"refused_by": {"site": "still no"}},
    "run time without a budget": {"max_runtime_s": 60},
}


@pytest.mark.parametrize("change", UNSEEN.values(), ids=UNSEEN)
def test_jobs_of_one_class_may_differ_in_what_decides_nothing(change):
    job = replace(JOB, budget_micros=None, refused_by={"site": "no"})

    assert class_of(replace(job, **change)) == class_of(job)
