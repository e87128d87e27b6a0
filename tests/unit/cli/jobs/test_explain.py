"""Explain over a small league: what is told, and what is not where not all can be read."""

import pytest

from hansa.cli.jobs import explain
from hansa.cli.jobs.remedies import remedy
from tests.unit.cli.small_league import BALTIC, EE, LV, job, league, node

WAITING = {"type": "Placed", "status": "False", "reason": "WaitingForCapacity", "message": "m"}


def reasons(observed, manifest):
    return {line.node: line.reason for line in explain.answer(observed, manifest).nodes}


def story(observed, manifest):
    return list(explain.answer(observed, manifest).story)


def test_every_node_has_its_reason():
    study = job("study", spec=BALTIC)
    found = reasons(league(study), study)
    assert found["lisbon"] == "ResidencyDenied"
    assert found["tartu"] == found["riga"] == "Pending"


def test_a_node_that_is_lost_is_known_from_its_condition():
    study = job("study")
    lost = node(*EE, ready="False", reason="NodeUnreachable")
    assert reasons(league(study, nodes=[lost]), study) == {"tartu": "NodeUnreachable"}


def test_a_node_of_two_leaders_takes_nothing():
    study = job("study")
    shared = node(*EE, ready="False", reason="NodeOfTwoLeaders")
    assert reasons(league(study, nodes=[shared]), study) == {"tartu": "NodeOfTwoLeaders"}


def test_the_node_that_holds_the_grant_is_said_to():
    study = job("study", node="riga", epoch=1)
    assert reasons(league(study), study)["riga"] == "Placed"


def test_a_silent_node_that_holds_the_grant_is_told_as_both():
    study = job("study", node="tartu", epoch=1)
    lost = node(*EE, ready="False", reason="NodeUnreachable")
    lost["status"]["conditions"][0]["message"] = "not heard for 9 min"
    (line,) = explain.answer(league(study, nodes=[lost]), study).nodes
    assert (line.reason, line.message) == (
        "NodeUnreachable",
        "it holds the grant; not heard for 9 min",
    )


def test_a_graver_fault_than_silence_is_told_first():
    study = job("study")
    lost = node(*EE, ready="False", reason="NodeUnreachable")
    lost["spec"]["accepted"] = "Rejected"
    assert reasons(league(study, nodes=[lost]), study) == {"tartu": "NodeNotAccepted"}


def test_an_ended_job_keeps_the_hubs_last_words():
    done = {"type": "Succeeded", "status": "True", "reason": "Succeeded"}
    verdict = {"node": "lisbon", "reason": "ResidencyDenied", "message": "stands in PT"}
    study = job("study", conditions=[done], verdicts=[verdict])
    told = explain.answer(league(study), study)
    (line,) = told.nodes
    assert line.cells[:3] == ("lisbon", "ResidencyDenied", "stands in PT")
    assert not told.story


def big(name, *, gpus=2, **status):
    return job(
        name, spec={"ray": {"version": "2.60.0", "workers": {"count": 1, "gpus": gpus}}}, **status
    )


ONE = [node(*EE)]
TWO = [node(*EE), node(*LV, price="1.5")]
STUDY = job("study")
OLD_RUN = {"type": "Placed", "status": "False", "reason": "WaitingForRelease", "message": "riga"}
NO_GPU = job(
    "study",
    spec={
        "ray": {"version": "2.60.0", "workers": {"count": 1, "gpus": 1, "gpuClass": "amd-mi210"}}
    },
)
STORIES = {
    "starts, and what is next best": (
        league(STUDY, nodes=TWO),
        STUDY,
        ["Planner: it would start now at tartu", "  next best is riga at +0.500000 an hour"],
    ),
    "runs, and what is next best": (
        league(big("study", node="riga", epoch=1), nodes=TWO),
        big("study", node="riga", epoch=1),
        ["Planner: it is at riga", "  next best is tartu at -1.000000 an hour"],
    ),
    "the law": (
        league(job("study", spec=BALTIC), nodes=[node("lisbon", "PT", "PT")]),
        job("study", spec=BALTIC),
        [
            "Planner: ResidencyDenied: no node may take it: 1 ResidencyDenied",
            "  nodes ruled out: 1 by ResidencyDenied",
            "  it would start now if its own residency rule were wider",
        ],
    ),
    "no room": (
        league(big("study"), big("other", node="tartu", epoch=1), nodes=ONE),
        big("study"),
        [
            "Planner: WaitingForCapacity: all 1 nodes that may take it are full",
            "  it would start now if tartu had 2 nvidia-t4 GPUs more",
        ],
    ),
    "nothing the planner could change": (
        league(job("study", spec={"pool": "sea"}), nodes=ONE),
        job("study", spec={"pool": "sea"}),
        [
            "Planner: UnknownPool: there is no ComputePool sea; there are: league",
            f"  no single change that was tried lets it start now; {remedy('UnknownPool')}",
        ],
    ),
    "another word than the hub's": (
        league(job("study", conditions=[WAITING]), nodes=ONE),
        job("study", conditions=[WAITING]),
        [
            "Planner: it would start now at tartu",
            "  the hub said WaitingForCapacity: it also knows grants and run times, or has yet to look again",
        ],
    ),
    "an old run that only the hub knows of": (
        league(job("study", conditions=[OLD_RUN]), nodes=ONE),
        job("study", conditions=[OLD_RUN]),
        [
            "Planner: WaitingForRelease: riga",
            "  it would start now if its old run were released",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("observed", "manifest", "lines"), STORIES.values(), ids=STORIES.keys())
def test_the_planners_story(observed, manifest, lines):
    assert story(observed, manifest) == lines


def test_without_all_jobs_only_the_rules_are_told():
    study = job("study", spec=BALTIC)
    observed = league(study, hidden=("aijobs",))
    first, second = story(observed, study)
    assert first == "Planner: nodes ruled out: 1 by ResidencyDenied"
    assert second.startswith("  you may not list aijobs everywhere")
    assert "whether there is room" in second
    assert reasons(observed, study)["lisbon"] == "ResidencyDenied"


def test_without_the_nodes_the_hubs_words_are_all_there_is():
    verdict = {"node": "lisbon", "reason": "ResidencyDenied", "message": "stands in PT"}
    study = job("study", verdicts=[verdict])
    told = explain.answer(league(study, hidden=("sovereignnodes", "aijobs")), study)
    assert [line.node for line in told.nodes] == ["lisbon"]
    assert "you may not list sovereignnodes, aijobs" in told.story[0]


def test_the_summary_says_what_verification_knows():
    study = job("study")
    study["spec"]["audit"] = {"of": "model", "epoch": 2, "node": "riga"}
    known = {"epoch": 1, "reached": "L1", "audit": "Passed", "message": "riga got the same"}
    study["status"] = study.get("status", {}) | {"assurance": known}
    lines = explain.summary(study)
    assert "  it is an audit of model, run 2, at riga" in lines
    study["spec"]["audit"]["segment"] = {"first": 8, "last": 16, "state": "a" * 64}
    whole = explain.summary(study)
    assert "  it is an audit of steps 8 to 16 of model, run 2, at riga" in whole
    assert "  run 1 reached L1, audit Passed: riga got the same" in lines
    assert not any("rely" in line for line in lines)
    known["doubtful"] = [2, 3]
    said = "  do not rely on run 2, 3: the node was found to have cheated, there or elsewhere"
    assert said in explain.summary(study)
    study["spec"]["audit"] = {"node": "riga"}
    assert "  it is a capacity probe of riga" in explain.summary(study)


def test_the_summary_says_what_the_hub_said():
    estimate = {"p50": "2027-01-15T09:00:00Z", "p90": "2027-01-15T10:00:00Z"}
    study = job("study", conditions=[WAITING], queuePosition=3, startEstimate=estimate)
    assert explain.summary(study) == [
        "clinic/study in pool league",
        "  Placed: False (WaitingForCapacity) m",
        "  3 jobs are ahead of it in the pool",
        "  may start by 2027-01-15T09:00:00Z (one time in two), 2027-01-15T10:00:00Z (nine in ten)",
    ]


def test_a_job_nobody_looked_at_asks_for_the_hub():
    assert "is a hub running" in explain.summary(job("study"))[1]


def test_members_words_are_shown():
    refusal = {"node": "riga", "epoch": 1, "reason": "WorkloadNotAccepted", "message": "no"}
    (line,) = explain.refusal_lines(job("study", refusals=[refusal]))
    assert line.node == "riga"
    assert line.cells[3] == "change the job, or ask the member's platform team"


def test_how_pods_died_is_shown_with_the_job():
    pod = {"role": "Head", "reason": "OOMKilled", "exitCode": 137, "restarts": 2}
    pod |= {"events": ["BackOff: again"], "logTail": "one\nboom"}
    study = job("study", postMortem={"node": "tartu", "epoch": 3, "pods": [pod]})

    told = explain.summary(study)

    assert told[-5:] == [
        "  pods that died in run 3, at node tartu:",
        "    Head: OOMKilled, exit code 137, started anew 2 times",
        "      BackOff: again",
        "      | one",
        "      | boom",
    ]


ASKED = {
    "of a class that nobody lends": {"gpuClass": "nvidia-h100"},
    "of any class": {},
}


@pytest.mark.parametrize("case", ASKED)
def test_where_a_node_lends_no_gpu_at_all_no_other_class_is_what_helps(case):
    """Its machines may be tainted, cordoned or not understood: only its own people can tell."""
    study = job("study", spec=BALTIC)
    workers = {"count": 1, "gpus": 1} | ASKED[case]
    study["spec"]["ray"] = {"version": "2.60.0", "workers": workers}
    bare = node(*EE)
    bare["status"] |= {"inventory": [], "shapes": [{"machines": 2, "cpu": "8", "memory": "16Gi"}]}
    (line,) = explain.answer(league(study, nodes=[bare]), study).nodes
    assert line.reason == "NoAccelerator"
    assert "gpuClass" not in line.cells[-1]
    assert "hansa doctor" in line.cells[-1]
