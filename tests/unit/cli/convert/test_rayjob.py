"""``hansa convert``: what a RayJob becomes, and that nothing in it is dropped in silence."""

from __future__ import annotations

import copy

import pytest
import yaml
from click.testing import CliRunner

from hansa.api.aijob import AIJobSpec
from hansa.cli.convert.rayjob import Choice
from hansa.cli.main import cli
from hansa.errors import Terminal
from tests.unit.cli.convert.rayjobs import (
    CHOICE,
    IMAGE,
    MOUNT,
    SCRIPT,
    VOLUME,
    group,
    made,
    pod,
    rayjob,
)

GPUS = {"cpu": "8", "nvidia.com/gpu": "2"}
ENTRYPOINTS = {
    "words": ("python train.py --lr 0.1", ["python", "train.py", "--lr", "0.1"]),
    "a quoted program": (
        'python -c "import ray\nray.init()"',
        ["python", "-c", "import ray\nray.init()"],
    ),
    "two commands": ("cd /app && python a.py", ["sh", "-c", "cd /app && python a.py"]),
    "a variable": ("python $SCRIPT", ["sh", "-c", "python $SCRIPT"]),
    "a variable in quotes": ('python "$SCRIPT"', ["sh", "-c", 'python "$SCRIPT"']),
    "a dollar in single quotes": ("python -c 'print(\"$1\")'", ["python", "-c", 'print("$1")']),
    "a quote without end": ("echo it's", ["sh", "-c", "echo it's"]),
}


@pytest.mark.parametrize(("written", "words"), ENTRYPOINTS.values(), ids=ENTRYPOINTS)
def test_a_command_keeps_its_meaning(written, words):
    assert made(rayjob(entrypoint=written)).job["spec"]["entrypoint"] == words


NAMES = (*enumerate(("group-1", "A", "a", "headgroup", "under_score"), 1),)
SHAPES = {
    "head and workers": (
        {},
        {
            "head": {"cpu": "2", "memory": "4Gi"},
            "workers": {"count": 2, "cpu": "3", "memory": "2Gi"},
        },
    ),
    "a limit of memory is what may be taken": (
        {"groups": [group(1, limits={"memory": "9Gi"}, requests={"memory": "1Gi", "cpu": "1"})]},
        {"workers": {"count": 1, "cpu": "1", "memory": "9Gi"}},
    ),
    "a head alone with GPUs works alone": (
        {"head": pod(requests=GPUS), "groups": []},
        {"head": {"cpu": "8", "memory": "2Gi", "gpus": 2}, "workers": {"count": 0, "gpus": 2}},
    ),
    "a head alone without GPUs is a worker": (
        {"head": pod(requests={"cpu": "8"}), "groups": []},
        {"head": {"cpu": "1", "memory": "2Gi"}, "workers": {"count": 1, "cpu": "8"}},
    ),
    "a head with a worker's GPUs keeps them": (
        {"head": pod(requests=GPUS), "groups": [group(3, requests=GPUS | {"cpu": "4"})]},
        {"head": {"cpu": "8", "gpus": 2}, "workers": {"count": 3, "cpu": "4", "gpus": 2}},
    ),
    "a head with GPUs before workers without": (
        {"head": pod(requests=GPUS), "groups": [group(3, "cpu", requests={"cpu": "4"})]},
        {
            "head": {"gpus": 2},
            "workers": {"count": 0, "gpus": 2},
            "workerGroups": [{"name": "cpu", "count": 3, "cpu": "4", "memory": "2Gi"}],
        },
    ),
    "an autoscaled group is elastic": (
        {
            "groups": [group(1) | {"minReplicas": 2, "maxReplicas": 5}],
            "cluster": {"enableInTreeAutoscaling": True},
        },
        {"workers": {"count": 5, "minCount": 2}},
    ),
    "a group that is not autoscaled is fixed": (
        {"groups": [group(1) | {"minReplicas": 1, "maxReplicas": 5}]},
        {"workers": {"count": 1}},
    ),
    "equal groups are one": (
        {"groups": [group(2, requests=GPUS), group(3, "more", requests=GPUS)]},
        {"workers": {"count": 5, "gpus": 2}},
    ),
    "groups of several shapes, the one with the GPUs first": (
        {"groups": [group(9, "CPU", requests={"cpu": "9"}), group(1, "gpu", requests=GPUS)]},
        {
            "workers": {"count": 1, "gpus": 2},
            "workerGroups": [{"name": "cpu", "count": 9, "cpu": "9", "memory": "2Gi"}],
        },
    ),
    "groups of as many GPUs and other memory": (
        {
            "groups": [
                group(2, "workers", requests=GPUS),
                group(1, "workers", requests=GPUS | {"memory": "64Gi"}),
            ]
        },
        {
            "workers": {"count": 2, "gpus": 2},
            "workerGroups": [
                {"name": "group-1", "count": 1, "cpu": "8", "memory": "64Gi", "gpus": 2}
            ],
        },
    ),
    "groups whose names no job can have, or have already": (
        {
            "groups": [
                group(2, requests=GPUS),
                *(group(1, name, requests={"cpu": n}) for n, name in NAMES),
            ]
        },
        {
            "workerGroups": [
                {"name": name, "count": 1, "cpu": f"{number}", "memory": "2Gi"}
                for number, name in enumerate(("group-1", "a", "group-2", "group-3", "group-4"), 1)
            ]
        },
    ),
    "hosts of a group": (
        {"groups": [group(2) | {"numOfHosts": 4}]},
        {"workers": {"count": 8}},
    ),
    "custom resources": (
        {"groups": [group(1) | {"rayStartParams": {"resources": '"{\\"ssd\\": 2}"'}}]},
        {"workers": {"customResources": [{"name": "ssd", "amount": 2}]}},
    ),
}


@pytest.mark.parametrize(("fields", "expected"), SHAPES.values(), ids=SHAPES)
def test_the_shape_of_the_cluster(fields, expected):
    ray = made(rayjob(**fields)).job["spec"]["ray"]

    for part, wanted in expected.items():
        found = ray[part]
        assert found == wanted if part == "workerGroups" else found | wanted == found, part
    AIJobSpec.model_validate(made(rayjob(**fields)).job["spec"])


UNLIKE = {
    "a head with fewer GPUs than workers": (
        {"head": pod(requests={"nvidia.com/gpu": "1"}), "groups": [group(1, requests=GPUS)]},
        ("spec.rayClusterSpec.headGroupSpec", "1 GPUs: an AIJob's head has as many as a worker"),
    ),
    "a group with other GPUs": (
        {"groups": [group(2, requests=GPUS), group(1, "b", requests={"nvidia.com/gpu": "1"})]},
        ("spec.rayClusterSpec.workerGroupSpecs[1]", "1 workers of 1 GPUs: all pods of an AIJob"),
    ),
    "a group with GPUs of another maker": (
        {"groups": [group(2, requests=GPUS), group(1, "b", requests={"amd.com/gpu": "2"})]},
        ("spec.rayClusterSpec.workerGroupSpecs[1]", "1 workers of 2 GPUs: all pods of an AIJob"),
    ),
    "more groups than there may be": (
        {"groups": [group(90 + n, f"g{n}", requests={"cpu": f"{n + 1}"}) for n in range(10)]},
        ("spec.rayClusterSpec.workerGroupSpecs[8]", "98 workers of 0 GPUs: an AIJob has 8 groups"),
    ),
    "a further group that is autoscaled": (
        {
            "groups": [
                group(2, requests=GPUS),
                group(1, "b", requests={"cpu": "9"}) | {"minReplicas": 1, "maxReplicas": 5},
            ],
            "cluster": {"enableInTreeAutoscaling": True},
        },
        ("spec.rayClusterSpec.workerGroupSpecs[1].minReplicas", "5 workers as long as the job"),
    ),
}


@pytest.mark.parametrize(("fields", "told"), UNLIKE.values(), ids=UNLIKE)
def test_a_shape_that_no_gang_has_is_told(fields, told):
    one = made(rayjob(**fields))
    assert any(n.field == told[0] and n.advice.startswith(told[1]) for n in one.notes), one.notes
    AIJobSpec.model_validate(one.job["spec"])


def test_what_says_when_and_how_often():
    job = made(
        rayjob(
            activeDeadlineSeconds=600,
            ttlSecondsAfterFinished=60,
            backoffLimit=2,
            suspend=True,
            shutdownAfterJobFinishes=True,
        )
    ).job

    spec = AIJobSpec.model_validate(job["spec"])
    assert spec.max_runtime_seconds == 600
    assert spec.retry.limit == 2
    assert spec.suspend


def test_environment_secrets_and_files():
    env = [
        {"name": "LR", "value": "0.1"},
        {"name": "RAY_ADDRESS", "value": "x"},
        {"name": "RAY_DATA_VERBOSE", "value": "1"},
        {"name": "token", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    files = [
        VOLUME,
        {"name": "keys", "secret": {"secretName": "s3"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    mounts = [
        MOUNT,
        {"name": "keys", "mountPath": "/etc/s3"},
        {"name": "tmp", "mountPath": "/scratch"},
    ]
    head = pod(env=env, volumes=files, volumeMounts=mounts)
    written = "python /home/ray/samples/train.py --keys /etc/s3/id --out /scratch/x"
    one = made(rayjob(head=head, entrypoint=written), SCRIPT)

    spec = one.job["spec"]
    assert {e["name"] for e in spec["env"]} == {"LR", "RAY_DATA_VERBOSE"}
    assert spec["secrets"] == [
        {"name": "hf", "mode": "Environment"},
        {"name": "s3", "mode": "Files"},
    ]
    assert spec["files"] == [
        {"name": "other.py", "content": "print(2)"},
        {"name": "train.py", "content": "print(1)"},
    ]
    assert spec["entrypoint"] == [
        *("python", "/code/train.py", "--keys", "/secrets/s3/id", "--out", "/tmp/scratch/x")
    ]
    told = [note.field for note in one.notes]
    assert sum("containers[0].env[" in field for field in told) == len(["RAY_ADDRESS", "NODE"])


def test_a_runtime_environment():
    text = yaml.safe_dump({"env_vars": {"A": 1, "LD_PRELOAD": "x"}, "pip": ["torch"]})
    one = made(rayjob(runtimeEnvYAML=text))

    assert one.job["spec"]["env"] == [{"name": "A", "value": "1"}]
    told = {note.field: note.advice for note in one.notes}
    assert "into the image" in told["spec.runtimeEnvYAML.pip"]
    assert "spec.runtimeEnvYAML.env_vars.LD_PRELOAD" in told


PINS = ["six==1.16.0 --hash=sha256:" + "a" * 64, "x==1 ; os_name == 'nt' --hash=sha256:" + "b" * 64]
LOCKS = {
    "a list": {"pip": PINS},
    "with its ways": {"pip": {"packages": PINS, "pip_check": True}},
    "by uv": {"uv": PINS},
}


@pytest.mark.parametrize("wanted", LOCKS.values(), ids=LOCKS)
def test_a_lock_of_packages_is_kept(wanted):
    one = made(rayjob(runtimeEnvYAML=yaml.safe_dump(wanted)))
    assert one.job["spec"]["runtimeEnv"] == {"pip": "\n".join(PINS)}
    assert not [note for note in one.notes if "runtimeEnv" in note.field]


def dicts(value, path=()):
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from dicts(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from dicts(inner, (*path, number))


FULL = rayjob(
    head=pod(
        requests={"cpu": "1"},
        volumes=[VOLUME],
        volumeMounts=[MOUNT],
        lifecycle={"preStop": {"exec": {"command": ["x"]}}},
        env=[{"name": "A", "value": "1"}],
    ),
    groups=[group(2) | {"rayStartParams": {"num-cpus": "1"}}],
    runtimeEnvYAML="env_vars: {B: '1'}",
)
TAKEN_WHOLE = {"volumes", "volumeMounts", "env", "limits", "requests"}
"""Of a variable, a volume and a list of resources all is read, or it is left there whole."""
PLACES = [path for path in dicts(FULL) if not TAKEN_WHOLE & set(path)]


@pytest.mark.parametrize("place", PLACES, ids=lambda path: ".".join(map(str, path)) or "top")
def test_a_field_that_nobody_knows_is_named(place):
    """Wherever it stands: what KubeRay adds tomorrow is not dropped in silence."""
    manifest = copy.deepcopy(FULL)
    where = manifest
    for step in place:
        where = where[step]
    where["addedTomorrow"] = "x"
    before = {note.field for note in made(copy.deepcopy(FULL), SCRIPT).notes}
    after = {note.field for note in made(manifest, SCRIPT).notes}

    named = any("addedTomorrow" in field for field in after - before)
    assert named or any(".lifecycle" in field for field in before & after if "lifecycle" in place)


REFUSED = {
    "an image by tag": (rayjob(), Choice("p", ("EE",), ("EE",)), "--image"),
    "another's cluster": (rayjob(clusterSelector={"a": "b"}), CHOICE, "spec.clusterSelector"),
    "no entrypoint": (rayjob(entrypoint=""), CHOICE, "--entrypoint"),
    "another accelerator": (
        rayjob(groups=[group(1, limits={"google.com/tpu": "4"})]),
        CHOICE,
        "google.com/tpu",
    ),
    "an old Ray": (
        rayjob(),
        Choice("p", ("EE",), ("EE",), image=IMAGE, ray_version="2.46.0"),
        "2.54",
    ),
    "no place": (rayjob(), Choice("p", ("Nowhere",), ("EE",), image=IMAGE), "residency.location"),
    "half a GPU": (rayjob(groups=[group(1, limits={"nvidia.com/gpu": "0.5"})]), CHOICE, "0.5"),
    "a head that is text": (rayjob(cluster={"headGroupSpec": "x"}), CHOICE, "headGroupSpec"),
    "groups that are text": (rayjob(groups="x"), CHOICE, "workerGroupSpecs"),
    "nothing of Ray's": (SCRIPT, CHOICE, "no RayJob"),
}


@pytest.mark.parametrize(("manifest", "choice", "told"), REFUSED.values(), ids=REFUSED)
def test_what_no_job_can_hold_is_refused_by_name(manifest, choice, told):
    with pytest.raises(Terminal) as caught:
        made(manifest, choice=choice)
    assert told in str(caught.value)


def test_the_command_prints_a_job_and_what_it_dropped(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump_all([rayjob(managedBy="kueue"), SCRIPT]))
    options = ["--pool", "gpu", "--location", "EE", "--legal-control", "EU", "--image", IMAGE]
    done = CliRunner().invoke(cli, ["convert", str(path), *options])

    assert done.exit_code == 0, done.output
    job = yaml.safe_load(done.stdout)
    AIJobSpec.model_validate(job["spec"])
    assert job["kind"] == "AIJob"
    assert "spec.managedBy: the member submits the job itself" in done.stderr
