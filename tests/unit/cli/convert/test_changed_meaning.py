"""What an AIJob means otherwise than the RayJob it was made of is told, field by field."""

from __future__ import annotations

import pytest
import yaml
from click.testing import CliRunner

from hansa.api.aijob import AIJobSpec
from hansa.api.job.retry import Cause
from hansa.cli.main import cli
from hansa.errors import Terminal
from tests.unit.cli.convert.rayjobs import CHOICE, IMAGE, SCRIPT, VOLUME, group, made, pod, rayjob

HEAD = "spec.rayClusterSpec.headGroupSpec"
HEAD_BOX = f"{HEAD}.template.spec.containers[0]"
WORKERS = "spec.rayClusterSpec.workerGroupSpecs[0]"
WORKER_BOX = f"{WORKERS}.template.spec.containers[0]"
AUTOSCALED = {"enableInTreeAutoscaling": True}


def env(**values):
    return pod(env=[{"name": name, "value": value} for name, value in values.items()])


def mounted(volume, path, **mount):
    return pod(
        volumes=[{"name": "v", **volume}],
        volumeMounts=[{"name": "v", "mountPath": path, **mount}],
    )


def spec_of(manifest, *more):
    return AIJobSpec.model_validate(made(manifest, *more).job["spec"])


def told(manifest, *more):
    return {note.field: note.advice for note in made(manifest, *more).notes}


SECRET = {"secret": {"secretName": "s3"}}
KEYED = [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "token"}}}]
OTHER = {"kind": "ConfigMap", "metadata": {"name": "more"}, "data": {"train.py": "print(3)"}}
TOLD = {
    "another value for the workers": (
        rayjob(head=env(A="1"), groups=[group(1) | env(A="2")]),
        (f"{WORKER_BOX}.env[0]", "one environment"),
    ),
    "a secret as variable and as file": (
        rayjob(head=mounted(SECRET, "/keys"), groups=[group(1, env=KEYED)]),
        (f"{WORKER_BOX}.env[0]", "as files"),
    ),
    "a volume where the program looks for it": (
        rayjob(head=mounted(VOLUME | {"name": "v"}, "/app")),
        (f"{HEAD_BOX}.volumeMounts[0]", "/app is /code"),
    ),
    "scratch in another place": (
        rayjob(head=mounted({"emptyDir": {}}, "/scratch")),
        (f"{HEAD_BOX}.volumeMounts[0]", "/scratch is /tmp/scratch"),
    ),
    "scratch in memory": (
        rayjob(head=mounted({"emptyDir": {"medium": "Memory"}}, "/tmp/ram")),
        (f"{HEAD}.template.spec.volumes[0].emptyDir", "on disk"),
    ),
    "two scripts of one name": (
        rayjob(
            head=mounted(VOLUME | {"name": "v"}, "/app"),
            groups=[group(1) | mounted({"configMap": {"name": "more"}}, "/app")],
        ),
        (f"{WORKERS}.template.spec.volumes[0]", "train.py"),
    ),
    "scripts that may be executed": (
        rayjob(head=mounted({"configMap": {"name": "scripts", "defaultMode": 0o755}}, "/app")),
        (f"{HEAD}.template.spec.volumes[0].configMap.defaultMode", "python"),
    ),
    "CPUs beyond those asked for": (
        rayjob(groups=[group(1, limits={"cpu": "8"}, requests={"cpu": "1"})]),
        (f"{WORKER_BOX}.resources.limits.cpu", "Ray counted 8"),
    ),
    "cards of another maker": (
        rayjob(groups=[group(1, limits={"amd.com/gpu": "1"})]),
        (f"{WORKER_BOX}.resources", "--gpu-class"),
    ),
    "a head that works, too": (
        rayjob(head=pod(limits={"cpu": "8"})),
        (f"{HEAD_BOX}.resources", "takes no tasks"),
    ),
    "resources of the head": (
        rayjob(head=pod() | {"rayStartParams": {"resources": '{"ssd": 1}'}}),
        (f"{HEAD}.rayStartParams.resources", "the workers'"),
    ),
    "no bound of an autoscaler": (
        rayjob(groups=[group(4)], cluster=AUTOSCALED),
        (f"{WORKERS}.maxReplicas", "4"),
    ),
    "the cluster goes, the job stays": (
        rayjob(ttlSecondsAfterFinished=10, shutdownAfterJobFinishes=True),
        ("spec.ttlSecondsAfterFinished", "the job itself"),
    ),
    "a cluster that is kept": (
        rayjob(shutdownAfterJobFinishes=False),
        ("spec.shutdownAfterJobFinishes", "removes what it made"),
    ),
    "no deadline": (rayjob(), ("spec.activeDeadlineSeconds", "maxRuntimeSeconds")),
    "no word on retries": (rayjob(), ("spec.backoffLimit", "spec.retry")),
}


@pytest.mark.parametrize(("manifest", "expected"), TOLD.values(), ids=TOLD)
def test_it_is_told(manifest, expected):
    field, words = expected
    assert words in told(manifest, SCRIPT, OTHER).get(field, "")


NOT_TOLD = {
    "the same value for the workers": (
        rayjob(head=env(A="1"), groups=[group(1) | env(A="1")]),
        f"{WORKER_BOX}.env[0]",
    ),
    "shared memory, which every pod of Ray has": (
        rayjob(head=mounted({"emptyDir": {"medium": "Memory"}}, "/dev/shm")),
        f"{HEAD}.template.spec.volumes[0].emptyDir",
    ),
    "Ray's own scratch": (
        rayjob(head=mounted({"emptyDir": {}}, "/tmp/ray")),
        f"{HEAD_BOX}.volumeMounts[0]",
    ),
    "a head that takes no tasks anyhow": (
        rayjob(head=pod(limits={"cpu": "8"}) | {"rayStartParams": {"num-cpus": "0"}}),
        f"{HEAD_BOX}.resources",
    ),
    "as many CPUs as asked for": (
        rayjob(groups=[group(1, limits={"cpu": "8"}, requests={"cpu": 8})]),
        f"{WORKER_BOX}.resources.limits.cpu",
    ),
    "a deadline": (rayjob(activeDeadlineSeconds=60), "spec.activeDeadlineSeconds"),
    "a word on retries": (rayjob(backoffLimit=0), "spec.backoffLimit"),
}


@pytest.mark.parametrize(("manifest", "field"), NOT_TOLD.values(), ids=NOT_TOLD)
def test_what_is_as_it_was_is_not(manifest, field):
    assert field not in told(manifest, SCRIPT)


ENTRYPOINTS = {
    "a variable before the program": ("PYTHONPATH=. python a.py", "PYTHONPATH=. python a.py"),
    "lines": ("python a.py\npython b.py\n", "python a.py\npython b.py"),
    "a line that goes on": ("python a.py \\\n --lr 1\n", "python a.py \\\n --lr 1"),
    "a comment": ("python a.py # all of it", "python a.py # all of it"),
    "a pattern": ("python [ab].py", "python [ab].py"),
}


@pytest.mark.parametrize(("written", "shell"), ENTRYPOINTS.values(), ids=ENTRYPOINTS)
def test_what_a_shell_reads_gets_a_shell(written, shell):
    assert spec_of(rayjob(entrypoint=written)).entrypoint == ("sh", "-c", shell)


def test_files_of_a_secret_are_found_by_their_keys():
    items = {"secret": {"secretName": "s3", "items": [{"key": "id", "path": "aws/key"}]}}
    whole = rayjob(head=mounted(items, "/etc/s3"), entrypoint="cat /etc/s3/aws/key")
    one = rayjob(head=mounted(SECRET, "/etc/key", subPath="id"), entrypoint="cat /etc/key")

    for manifest in (whole, one):
        assert spec_of(manifest).entrypoint == ("cat", "/secrets/s3/id")


def test_scratch_of_two_names_stays_two():
    head = pod(
        volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}],
        volumeMounts=[{"name": "a", "mountPath": "/a/out"}, {"name": "b", "mountPath": "/b/out"}],
    )
    spec = spec_of(rayjob(head=head, entrypoint="run /a/out /b/out"))

    assert spec.entrypoint == ("run", "/tmp/a/out", "/tmp/b/out")


COUNTS = {
    "a group without workers is none": ([group(0, "idle"), group(2, "busy")], {}, (2, None)),
    "nor is one that is held back": (
        [group(2, "idle") | {"suspend": True}, group(3, "busy")],
        {},
        (3, None),
    ),
    "never fewer than the least": ([group(1) | {"minReplicas": 3}], {}, (3, None)),
    "an autoscaled group without a bound": ([group(4)], AUTOSCALED, (4, 1)),
}


@pytest.mark.parametrize(("groups", "cluster", "expected"), COUNTS.values(), ids=COUNTS)
def test_counts_are_those_of_kuberay(groups, cluster, expected):
    workers = spec_of(rayjob(groups=groups, cluster=cluster)).ray.workers
    assert (workers.count, workers.min_count) == expected


def test_without_any_worker_the_head_is_one():
    workers = spec_of(rayjob(head=pod(limits={"cpu": "8"}), groups=[group(0)])).ray.workers
    assert (workers.count, workers.cpu) == (1, "8")


def test_a_group_without_workers_brings_nothing():
    groups = [group(0, "idle") | env(A="idle"), group(1, "busy") | env(B="1")]
    assert [one.name for one in spec_of(rayjob(groups=groups)).env] == ["B"]


def test_a_job_lasts_when_its_cluster_is_to_go():
    spec = spec_of(rayjob(ttlSecondsAfterFinished=10, shutdownAfterJobFinishes=True))
    assert spec.ttl_seconds_after_finished is None


def test_retries_count_for_the_program_too():
    retry = spec_of(rayjob(backoffLimit=2)).retry
    assert {(row.cause, row.limit) for row in retry.causes} == {
        (cause, 2) for cause in (Cause.APP_FAILED, Cause.OUT_OF_MEMORY, Cause.SCRATCH_FULL)
    }
    assert spec_of(rayjob(backoffLimit=0)).retry.causes == ()


REFUSED = {
    "a fraction of a custom resource": (
        rayjob(groups=[group(1) | {"rayStartParams": {"resources": '{"ssd": 1.5}'}}]),
        "rayStartParams.resources",
    ),
    "a runtime environment that is a list": (
        rayjob(runtimeEnvYAML="- pip: [torch]"),
        "spec.runtimeEnvYAML",
    ),
    "a ConfigMap without a name": ({"kind": "ConfigMap", "data": {}}, "ConfigMap"),
}


@pytest.mark.parametrize(("manifest", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_by_name(manifest, words):
    with pytest.raises(Terminal, match=words):
        made(rayjob() if "spec" not in manifest else manifest, manifest, choice=CHOICE)


@pytest.mark.parametrize(
    ("content", "entrypoint", "words"),
    [
        (b"\xff\xfe", "", "no YAML"),
        (yaml.safe_dump(rayjob()).encode(), "python 'a.py", "--entrypoint"),
    ],
    ids=["no text", "a quote without end"],
)
def test_the_command_says_what_it_cannot_read(tmp_path, content, entrypoint, words):
    path = tmp_path / "job.yaml"
    path.write_bytes(content)
    options = ["--pool", "gpu", "--location", "EE", "--legal-control", "EU", "--image", IMAGE]
    done = CliRunner().invoke(cli, ["convert", str(path), *options, "--entrypoint", entrypoint])

    assert isinstance(done.exception, Terminal | SystemExit)
    assert words in f"{done.output}{done.exception}"
