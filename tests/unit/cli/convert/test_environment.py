"""Variables that a manifest takes from its own ConfigMaps are plain values of an AIJob; others are named."""

from __future__ import annotations

from tests.unit.cli.convert.rayjobs import group, made, pod, rayjob

VALUES = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "values"},
    "data": {"EPOCHS": "3", "LR": "0.1", "RAY_ADDRESS": "x:1"},
}
HEAD = "spec.rayClusterSpec.headGroupSpec.template.spec.containers[0]"


def converted(*documents, **container):
    one = made(*documents, rayjob(head=pod(**container)))
    env = {row["name"]: row["value"] for row in one.job["spec"].get("env", ())}
    return env, {note.field: note.advice for note in one.notes}


def key_of(name, key, **more):
    return [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": name, "key": key, **more}}}]


def test_one_key_is_the_value():
    env, notes = converted(VALUES, env=key_of("values", "LR"))
    assert env == {"X": "0.1"}
    assert f"{HEAD}.env[0]" not in notes


def test_all_keys_are_variables_and_those_of_the_platform_are_named():
    env, notes = converted(VALUES, envFrom=[{"configMapRef": {"name": "values"}}])
    assert env == {"EPOCHS": "3", "LR": "0.1"}
    assert "RAY_ADDRESS" in notes[f"{HEAD}.envFrom[0]"]


def test_a_prefix_goes_before_each():
    env, _ = converted(VALUES, envFrom=[{"prefix": "A_", "configMapRef": {"name": "values"}}])
    assert env == {"A_EPOCHS": "3", "A_LR": "0.1", "A_RAY_ADDRESS": "x:1"}


def test_what_is_not_in_the_manifest_is_named():
    env, notes = converted(VALUES, env=key_of("values", "MISSING"))
    assert (env, f"{HEAD}.env[0]" in notes) == ({}, True)
    env, notes = converted(envFrom=[{"configMapRef": {"name": "values"}}])
    assert (env, "ConfigMap" in notes[f"{HEAD}.envFrom[0]"]) == ({}, True)


def test_a_gang_that_may_begin_without_workers_is_told_that_it_has_one_at_least():
    elastic = {"enableInTreeAutoscaling": True}
    groups = [group(1) | {"minReplicas": 0, "maxReplicas": 4}]
    one = made(rayjob(groups=groups, cluster=elastic))
    assert one.job["spec"]["ray"]["workers"]["minCount"] == 1
    said = {note.field: note.advice for note in one.notes}
    assert "at least" in said["spec.rayClusterSpec.workerGroupSpecs[0].minReplicas"]
