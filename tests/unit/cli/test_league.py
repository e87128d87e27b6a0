"""Explain and what-if over a small league, as the API server would return it."""

from dataclasses import replace

import click
import pytest
import yaml

from hansa.cli import explain, whatif
from hansa.cli.league import Observed
from hansa.errors import Terminal

NOW_S = 1_800_000_000.0
EE, LV, PT = ("tartu", "EE", "EE"), ("riga", "LV", "LV"), ("lisbon", "PT", "US")
SPEC = {
    "pool": "league",
    "image": "hansa.local/ray@sha256:" + "0" * 64,
    "entrypoint": ["python3", "x.py"],
    "ray": {"version": "2.60.0", "workers": {"count": 1, "gpus": 1}},
}


def meta(name, **more):
    return {"name": name, "uid": f"uid-{name}", "resourceVersion": "1", "generation": 1} | more


def node(name, jurisdiction, law, *, price="1.0", gpus=2, ready="True", reason="Ready"):
    condition = {"type": "Ready", "status": ready, "reason": reason, "lastTransitionTime": "x"}
    return {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "SovereignNode",
        "metadata": meta(name),
        "spec": {
            "institution": f"{name}-uni",
            "jurisdiction": jurisdiction,
            "legalControl": [law],
            "accepted": "Accepted",
            "prices": [{"gpuClass": "nvidia-t4", "perGpuHour": price}],
        },
        "status": {
            "declaredJurisdiction": jurisdiction,
            "declaredLegalControl": [law],
            "switch": "Open",
            "inventory": [{"gpuClass": "nvidia-t4", "memory": "16Gi", "total": gpus}],
            "shapes": [
                {
                    "machines": 1,
                    "gpuClass": "nvidia-t4",
                    "gpus": gpus,
                    "gpuMemory": "16Gi",
                    "cpu": "64",
                    "memory": "256Gi",
                }
            ],
            "conditions": [condition],
        },
    }


def job(name, *, spec=None, **status):
    return {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "AIJob",
        "metadata": meta(name, namespace="clinic", creationTimestamp="2027-01-15T07:00:00Z"),
        "spec": SPEC | (spec or {}),
        "status": status,
    }


def league(*jobs, nodes=None):
    return Observed(
        nodes=nodes or [node(*EE), node(*LV, price="0.5"), node(*PT, price="0.1")],
        pools=[{"metadata": meta("league"), "spec": {}}],
        namespaces=[
            {"metadata": meta("clinic", labels={"hansa.dev/institution": "hospital"})},
            {"metadata": meta("default")},
        ],
        jobs=jobs,
        now_s=NOW_S,
    )


BALTIC = {"residency": {"location": {"allow": ["Baltic"]}, "legalControl": {"allow": ["EE", "LV"]}}}


def reasons(observed, manifest):
    return {line.node: line.reason for line in explain.planner_lines(observed, manifest)}


def test_every_node_has_its_reason():
    study = job("study", spec=BALTIC)
    found = reasons(league(study), study)
    assert found["lisbon"] == "ResidencyDenied"
    assert found["tartu"] == found["riga"] == "Pending"


def test_a_node_that_is_lost_is_known_from_its_condition():
    study = job("study")
    lost = node(*EE, ready="False", reason="NodeUnreachable")
    assert reasons(league(study, nodes=[lost]), study) == {"tartu": "NodeUnreachable"}


def test_the_node_that_holds_the_grant_is_said_to():
    study = job("study", node="riga", epoch=1)
    assert reasons(league(study), study)["riga"] == "Placed"


def test_an_ended_job_keeps_the_hubs_last_words():
    done = {"type": "Succeeded", "status": "True", "reason": "Succeeded"}
    verdict = {"node": "lisbon", "reason": "ResidencyDenied", "message": "stands in PT"}
    study = job("study", conditions=[done], verdicts=[verdict])
    (line,) = explain.planner_lines(league(study), study)
    assert line.cells[:3] == ("lisbon", "ResidencyDenied", "stands in PT")


def test_the_summary_says_what_the_hub_said():
    waiting = {"type": "Placed", "status": "False", "reason": "WaitingForCapacity", "message": "m"}
    estimate = {"p50": "2027-01-15T09:00:00Z", "p90": "2027-01-15T10:00:00Z"}
    study = job("study", conditions=[waiting], queuePosition=3, startEstimate=estimate)
    assert explain.summary(study) == [
        "clinic/study in pool league",
        "  Placed: False (WaitingForCapacity) m",
        "  3 jobs are ahead of it in the pool",
        "  may start by 2027-01-15T09:00:00Z (even odds), 2027-01-15T10:00:00Z (nine in ten)",
    ]


def test_a_job_nobody_looked_at_asks_for_the_hub():
    assert "is a hub running" in explain.summary(job("study"))[1]


def test_members_words_are_shown():
    refusal = {"node": "riga", "epoch": 1, "reason": "WorkloadNotAccepted", "message": "no"}
    (line,) = explain.refusal_lines(job("study", refusals=[refusal]))
    assert line.node == "riga"
    assert line.cells[3] == "change the job, or ask the member's platform team"


def test_a_job_added_in_memory_finds_its_node():
    observed = league()
    added = [{"metadata": {"name": "study"}, "spec": SPEC | BALTIC}]
    then = whatif.with_jobs(observed, added, namespace="clinic").snapshot()
    assert list(whatif.differences(observed.snapshot(), then)) == [
        ("clinic/study", "not there", "starts at riga")
    ]


def test_a_job_of_the_same_name_takes_its_place():
    observed = league(job("study"))
    added = [{"metadata": {"name": "study", "namespace": "clinic"}, "spec": SPEC | BALTIC}]
    then = whatif.with_jobs(observed, added, namespace="default").snapshot()
    assert [known.name for known in then.jobs] == ["clinic/study"]
    assert list(whatif.differences(observed.snapshot(), then)) == [
        ("clinic/study", "starts at lisbon", "starts at riga")
    ]


def test_a_namespace_without_institution_is_told():
    added = [{"metadata": {"name": "study"}, "spec": SPEC}]
    (only,) = whatif.with_jobs(league(), added, namespace="default").snapshot().jobs
    assert only.barred == "NoInstitution"


CHANGES = {
    "the cheapest node gone": ({"gone": ["lisbon"]}, "starts at riga"),
    "two nodes gone": ({"gone": ["lisbon", "riga"]}, "starts at tartu"),
    "another price": (
        {"prices": [whatif.Price("tartu", "nvidia-t4", 50_000)]},
        "starts at tartu",
    ),
}


@pytest.mark.parametrize(("changed", "outcome"), CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_league(changed, outcome):
    now = league(job("study")).snapshot()
    then = whatif.change(now, **({"gone": [], "prices": []} | changed))
    assert list(whatif.differences(now, then)) == [("clinic/study", "starts at lisbon", outcome)]


def test_work_at_a_node_that_is_gone_goes_elsewhere():
    now = league(job("study", node="lisbon", epoch=1)).snapshot()
    then = whatif.change(now, gone=["lisbon"], prices=[])
    assert list(whatif.differences(now, then)) == [
        ("clinic/study", "runs at lisbon", "starts at riga")
    ]


def test_nothing_changed_is_an_empty_answer():
    now = league(job("study")).snapshot()
    assert not list(whatif.differences(now, replace(now)))


def test_an_unknown_node_is_named_with_those_there_are():
    with pytest.raises(click.UsageError, match="no node x; there are: lisbon, riga, tartu"):
        whatif.change(league().snapshot(), gone=["x"], prices=[])


@pytest.mark.parametrize("text", ["", "tartu", "tartu=t4", "tartu=t4=cheap", "tartu=t4=1=2"])
def test_a_price_has_three_parts(text):
    with pytest.raises(click.UsageError, match="NODE=CLASS=AMOUNT"):
        whatif._price(text)


BAD_FILES = {
    "another kind": "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {}",
    "no name": "apiVersion: hansa.dev/v1alpha1\nkind: AIJob\nmetadata: {}\nspec: {}",
    "no spec": "apiVersion: hansa.dev/v1alpha1\nkind: AIJob\nmetadata: {name: x}",
    "no object": "- a\n- b",
    "no YAML": "a: [",
}


@pytest.mark.parametrize("text", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_only_jobs_can_be_tried(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(Terminal, match=r"x\.yaml"):
        whatif.read_jobs(str(path))


def test_several_jobs_in_a_file(tmp_path):
    path = tmp_path / "jobs.yaml"
    path.write_text(yaml.safe_dump_all([job("a"), None, job("b")]))
    assert [found["metadata"]["name"] for found in whatif.read_jobs(str(path))] == ["a", "b"]


def test_an_empty_league_is_no_error():
    empty = Observed([], [], [], [], NOW_S).snapshot()
    assert whatif.outcomes(empty) == {}
