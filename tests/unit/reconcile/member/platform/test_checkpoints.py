"""Checkpoint volumes: which run gets which, how many there may be, and when one is given back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.grants.envelope import workload_name
from hansa.member.cluster.cluster_state import ClusterState
from hansa.member.cluster.policy import HeldPolicy
from hansa.model.times import rfc3339
from hansa.reconcile.member.platform.checkpoints import (
    CLAIM,
    CheckpointRules,
    Lending,
    expired,
    lend,
    read_kept,
)
from hansa.reconcile.member.run_request import RenderOptions
from tests.unit.grants.grant_kit import policy
from tests.unit.reconcile.member.inventory.node_objects import node
from tests.unit.reconcile.member.ray.rendered_run import bodies, pods
from tests.unit.reconcile.member.run_request_kit import request

JOB, OTHER = "0b1c2d3e-0000-4000-8000-00000000000e", "11111111-0000-4000-8000-000000000000"
RULES = CheckpointRules("kept", "1Gi", retention_s=100, most=2)
RUN = workload_name(JOB, 3)
NOW_S = 1_790_000_000.0


def volume(name="pv", *, job=JOB, epoch=2, phase="Released", since_s=NOW_S, **spec):
    ref = {"namespace": workload_name(job, epoch), "name": CLAIM}
    base = {"storageClassName": "kept", "persistentVolumeReclaimPolicy": "Retain", "claimRef": ref}
    status = {"phase": phase, "lastPhaseTransitionTime": rfc3339(since_s)}
    return {"metadata": {"name": name}, "spec": base | spec, "status": status}


LENT = {
    "the first": ([], Lending(is_lent=True)),
    "its own from before": ([volume("a")], Lending(is_lent=True, volume="a")),
    "handed to a run that was never made": (
        [volume("a", phase="Available")], Lending(is_lent=True, volume="a"),
    ),
    "what it has already": ([volume("a", epoch=3, phase="Bound")], Lending(is_lent=True, volume="a")),
    "another job's never": ([volume("a", job=OTHER)], Lending(is_lent=True)),
    "no room": ([volume("a", job=OTHER), volume("b", job=OTHER, phase="Bound")], Lending()),
    "its own where there is no room": (
        [volume("a"), volume("b", job=OTHER), volume("c", job=OTHER)],
        Lending(is_lent=True, volume="a"),
    ),
    "given back already": ([volume(persistentVolumeReclaimPolicy="Delete")], Lending(is_lent=True)),
    "of another class": ([volume(storageClassName="fast")], Lending(is_lent=True)),
    "a data set's": ([volume(claimRef={"namespace": RUN, "name": "cohort"})], Lending(is_lent=True)),
    "somebody else's": ([volume(claimRef={"namespace": "default", "name": CLAIM})], Lending(is_lent=True)),
    "claimed by nobody": ([{"metadata": {"name": "x"}, "spec": {"storageClassName": "kept"}}], Lending(is_lent=True)),
}  # fmt: skip


@pytest.mark.parametrize("name", LENT)
def test_what_a_run_gets(name):
    volumes, wanted = LENT[name]
    assert lend(RUN, read_kept(volumes, RULES), RULES) == wanted
    assert lend(RUN, read_kept(volumes, RULES), CheckpointRules()) == Lending()


ONCE = replace(RULES, access_mode="ReadWriteOnce")


def test_a_disk_of_one_machine_is_lent_where_one_machine_takes_runs():
    """With two, the head and a worker may be scheduled apart, and one of them would never come up."""
    assert lend(RUN, [], ONCE, machines=1) == Lending(is_lent=True)
    assert lend(RUN, read_kept([volume("a")], ONCE), ONCE, machines=2) == Lending()
    assert lend(RUN, [], RULES, machines=2) == Lending(is_lent=True)
    own = read_kept([volume("a", epoch=3, phase="Bound")], ONCE)
    assert lend(RUN, own, ONCE, machines=2) == Lending(is_lent=True, volume="a")


def test_it_is_told_that_none_is_lent():
    state = ClusterState(checkpoints=ONCE, policy=HeldPolicy(spec=policy()))
    for name in ("a", "b"):
        thing = node()
        state.put_machine(thing | {"metadata": thing["metadata"] | {"name": name}})
        troubles = state.inventory({}).troubles
        told = [text for text in troubles if text.startswith("runs.checkpoints: ")]
        assert len(told) == (name == "b")
    assert "ReadWriteOnce" in told[0] and "2 take runs" in told[0]  # noqa: PT018


def test_a_run_waits_for_its_jobs_former_run():
    held = read_kept([volume(phase="Bound")], RULES)
    assert (
        lend(RUN, held, RULES).wait == f"{workload_name(JOB, 2)} still holds the job's checkpoints"
    )


def test_what_is_given_back():
    volumes = [
        volume("old", since_s=NOW_S - 100),
        volume("young", since_s=NOW_S - 99),
        volume("used", phase="Bound", since_s=NOW_S - 1e6),
        volume("gone", since_s=NOW_S - 1e6, persistentVolumeReclaimPolicy="Delete"),
        volume("foreign", since_s=NOW_S - 1e6, storageClassName="fast"),
    ]
    untold = volume("untold")
    del untold["status"]["lastPhaseTransitionTime"]
    assert expired(read_kept([*volumes, untold], RULES), NOW_S, RULES) == ["old"]


def made(lending):
    return request(lending=lending, options=RenderOptions(checkpoints=RULES))


def test_a_run_that_gets_one_mounts_it_to_write():
    told = made(Lending(is_lent=True, volume="a"))
    [claim] = [one for one in bodies(told) if one["metadata"]["name"] == CLAIM]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "kept",
        "resources": {"requests": {"storage": "1Gi"}},
        "volumeName": "a",
    }
    for role in ("head", "worker"):
        spec = pods(told)[role]["spec"]
        [box] = spec["containers"]
        assert {"name": "HANSA_CHECKPOINTS", "value": "/checkpoints"} in box["env"]
        assert {"name": "checkpoints", "mountPath": "/checkpoints"} in box["volumeMounts"]
        [mounted] = [v for v in spec["volumes"] if v["name"] == "checkpoints"]
        assert mounted["persistentVolumeClaim"] == {"claimName": CLAIM}
    assert "checkpoints" not in str(pods(told)["submitter"])


def test_a_run_that_gets_none_is_told_of_none():
    assert "checkpoints" not in str(bodies(made(Lending()))).lower()
