"""Whom a GPU serves: exact, or not claimed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.api.meta import INSTITUTION_LABEL, JOB_UID_LABEL
from hansa.exporter.attribution import (
    NOBODY,
    UNKNOWN,
    JobPod,
    Served,
    attribute,
    job_pod,
    pod_of_cgroup,
)
from hansa.ports import GpuReading

UID_A = "0f6b7c7e-3f1a-4c2d-9d6b-0c5b1c9a7e11"
UID_B = "1f6b7c7e-3f1a-4c2d-9d6b-0c5b1c9a7e12"
STUDY, OTHER = Served("study", "tartu"), Served("other", "riga")


def gpu(index, *pids):
    return GpuReading(f"GPU-{index}", index, "NVIDIA T4", *[None] * 8, process_ids=pids)


CGROUPS = {
    11: f"0::/kubepods.slice/kubepods-pod{UID_A.replace('-', '_')}.slice/cri-x.scope",
    12: f"5:memory:/kubepods/burstable/pod{UID_B}/abc",
    13: "0::/user.slice",
}


def served(readings, pods):
    return list(attribute(readings, pods, cgroup_of=lambda pid: CGROUPS.get(pid, "")).values())


TABLE = {
    "no pods of the league": ([gpu(0), gpu(1)], [], [NOBODY, NOBODY]),
    "only a head without GPUs": ([gpu(0)], [JobPod(UID_A, STUDY, 0)], [NOBODY]),
    "pods not known": ([gpu(0)], None, [UNKNOWN]),
    "one job has them all": ([gpu(0), gpu(1)], [JobPod(UID_A, STUDY, 2)], [STUDY, STUDY]),
    "two pods of one job": (
        [gpu(0), gpu(1)],
        [JobPod(UID_A, STUDY, 1), JobPod(UID_B, STUDY, 1)],
        [STUDY, STUDY],
    ),
    "one job has some": ([gpu(0), gpu(1)], [JobPod(UID_A, STUDY, 1)], [UNKNOWN, UNKNOWN]),
    "two jobs": (
        [gpu(0), gpu(1)],
        [JobPod(UID_A, STUDY, 1), JobPod(UID_B, OTHER, 1)],
        [UNKNOWN, UNKNOWN],
    ),
    "two jobs told apart by processes": (
        [gpu(0, 11), gpu(1, 12), gpu(2)],
        [JobPod(UID_A, STUDY, 1), JobPod(UID_B, OTHER, 1)],
        [STUDY, OTHER, UNKNOWN],
    ),
    "a process of nobody we know": ([gpu(0, 13)], [JobPod(UID_A, STUDY, 1)], [STUDY]),
    "all slices of a machine are one job's": (
        [gpu(0)],
        [JobPod(UID_A, STUDY, 4, has_slices=True)],
        [UNKNOWN],
    ),
    "a slice, and whose process it is": (
        [gpu(0, 11)],
        [JobPod(UID_A, STUDY, 1, has_slices=True)],
        [STUDY],
    ),
    "two jobs on one GPU": (
        [gpu(0, 11, 12), gpu(1)],
        [JobPod(UID_A, STUDY, 1), JobPod(UID_B, OTHER, 1)],
        [UNKNOWN, UNKNOWN],
    ),
}


@pytest.mark.parametrize(("readings", "pods", "expected"), TABLE.values(), ids=TABLE.keys())
def test_attribution(readings, pods, expected):
    assert served(readings, pods) == expected


OTHERS = {
    "a network card": ({"nvidia.com/hostdev": 1000, "cpu": 4000}, STUDY),
    "none": ({"nvidia.com/gpu": 0}, STUDY),
    "a share of the same card (HAMi)": ({"nvidia.com/gpu": 1000}, UNKNOWN),
    "a slice": ({"nvidia.com/mig-1g.10gb": 1000}, UNKNOWN),
    "a renamed share": ({"nvidia.com/gpu.shared": 1000}, UNKNOWN),
}


@pytest.mark.parametrize("case", OTHERS)
def test_where_other_peoples_pods_hold_cards_counting_proves_nothing(case):
    held, expected = OTHERS[case]
    pods = [JobPod(UID_A, STUDY, 1)]

    found = attribute([gpu(0)], pods, cgroup_of=lambda _: "", held_by_others=held)

    assert found == {"GPU-0": expected}


@given(
    gpus=st.integers(1, 8),
    pods=st.lists(st.tuples(st.sampled_from([STUDY, OTHER]), st.integers(0, 8)), max_size=4),
)
def test_without_processes_a_job_is_named_only_when_no_other_could_be_meant(gpus, pods):
    holders = [JobPod(UID_A, who, count) for who, count in pods]
    answers = set(served([gpu(i) for i in range(gpus)], holders))
    named = answers - {NOBODY, UNKNOWN}
    if named:
        assert {pod.served for pod in holders if pod.gpus} == named
        assert sum(pod.gpus for pod in holders) >= gpus


def test_a_pod_as_the_api_server_sends_it():
    box = {"resources": {"limits": {"nvidia.com/gpu": "2", "cpu": "1"}}}
    labels = {JOB_UID_LABEL: "study", INSTITUTION_LABEL: "tartu"}
    pod = {"metadata": {"uid": UID_A, "labels": labels}, "spec": {"containers": [box, {}]}}
    assert job_pod(pod) == JobPod(UID_A, STUDY, 2)


def asked(key, *values):
    expression = {"key": key, "operator": "In", "values": list(values)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


CUT = {
    "a whole card": ("nvidia.com/gpu", asked("nvidia.com/gpu.product", "Tesla-T4"), False),
    "a MIG slice, mixed": ("nvidia.com/mig-1g.10gb", {}, True),
    "a MIG slice, single": (
        "nvidia.com/gpu",
        asked("x", "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb"),
        True,
    ),
    "shared, renamed": ("nvidia.com/gpu.shared", {}, True),
    "shared": ("nvidia.com/gpu", asked("nvidia.com/gpu.product", "Tesla-T4-SHARED"), True),
    "shared on GKE": (
        "nvidia.com/gpu",
        asked("cloud.google.com/gke-gpu-sharing-strategy", "time-sharing"),
        True,
    ),
}


@pytest.mark.parametrize("name", CUT)
def test_slices_are_told_by_what_the_pod_asked_for(name):
    resource, spec, has_slices = CUT[name]
    box = {"resources": {"limits": {resource: "1"}}}
    found = job_pod({"metadata": {}, "spec": {"containers": [box]} | spec})
    assert (found.gpus, found.has_slices) == (1, has_slices)


def test_a_cgroup_of_no_pod():
    assert pod_of_cgroup("0::/init.scope") == ""
