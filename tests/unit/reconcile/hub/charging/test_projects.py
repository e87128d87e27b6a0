"""What a project lets start, and that a job of a closed one says why it waits."""

from dataclasses import replace

import pytest

from hansa.model.reasons import Reason
from hansa.reconcile.hub.charging.projects import closed, default_project, parse_project
from hansa.reconcile.hub.job_view import Catalog, fault_of, project_of
from hansa.reconcile.hub.pools import parse_pool
from tests.residency_kit import EVERYWHERE
from tests.unit.reconcile.hub.hub_objects import NOW_S, job_view, project_manifest

STANDS = {
    "open": ({}, 0, None, ""),
    "just begun": ({}, -10, None, ""),
    "not begun": ({}, -11, Reason.PROJECT_CLOSED, "project screening begins"),
    "just ended": ({}, 10, Reason.PROJECT_CLOSED, "project screening ended"),
    "one unit left": ({"spent": "9.999999"}, 0, None, ""),
    "spent": ({"spent": "10"}, 0, Reason.PROJECT_OVER_BUDGET, "has spent 10 of 10 EUR"),
    "nobody told": ({"spent": ""}, 0, Reason.PROJECT_OVER_BUDGET, "is `hansa ledger` running"),
    "another currency": ({"currency": "CHF"}, 0, Reason.MISCONFIGURED, "budgeted in CHF"),
    "no time": ({"end": "soon"}, 0, Reason.MISCONFIGURED, "must be times"),
    "no purpose": ({"purpose": ""}, 0, Reason.MISCONFIGURED, "is not valid: purpose"),
}


@pytest.mark.parametrize("case", STANDS)
def test_a_project_lets_start_or_says_why_not(case):
    changes, later_s, reason, says = STANDS[case]
    fault = closed(parse_project(project_manifest(**changes)), NOW_S + later_s, "EUR")
    assert (fault and fault[0]) == reason
    assert says in (fault[1] if fault else "")


POOLS = {"league": parse_pool({"metadata": {"name": "league"}, "spec": {"residency": EVERYWHERE}})}
SHUT = (Reason.PROJECT_CLOSED, "project old ended")
CATALOG = Catalog(
    POOLS,
    {"clinic": "clinic"},
    frozenset({"scans"}),
    "EUR",
    projects={"clinic/screening": None, "clinic/old": SHUT, "lab/theirs": None},
)
CHARGED = {
    "open": ("screening", None),
    "closed": ("old", SHUT),
    "another namespace's": (
        "theirs",
        (Reason.UNKNOWN_PROJECT, "namespace clinic has no project theirs"),
    ),
    "none": (None, None),
}


def charged(project):
    return job_view(**({"project": project} if project else {}))


@pytest.mark.parametrize("case", CHARGED)
def test_a_job_waits_for_its_project(case):
    project, fault = CHARGED[case]
    assert fault_of(charged(project), CATALOG) == fault


def test_a_job_that_names_none_is_charged_to_the_default_of_its_namespace():
    named = replace(CATALOG, default_projects={"clinic": "old"})
    assert fault_of(charged(None), named) == SHUT
    assert project_of(charged(None), named) == "clinic/old"
    assert project_of(charged("screening"), named) == "clinic/screening"
    assert fault_of(charged("screening"), named) is None


def test_who_may_not_list_projects_claims_nothing_about_them():
    assert fault_of(charged("theirs"), replace(CATALOG, projects=None)) is None


def test_the_default_stands_in_an_annotation():
    annotated = {"metadata": {"annotations": {"hansa.dev/default-project": "screening"}}}
    assert default_project(annotated) == "screening"
    assert default_project({"metadata": {}}) == ""
