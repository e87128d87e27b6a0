"""No text of a grant holds what no pod can be started with, and no pod of one costs nothing.

The hub that sends it would see a node that fails, and blame the node.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hansa.grants.checks import judge
from hansa.grants.reasons import MemberReason
from tests.unit.grants.grant_kit import authorized, facts, grant, job, policy

Path = tuple[str | int, ...]
HASH = "--hash=sha256:" + "0" * 64
NODE_BODY = job(
    files=[{"name": "train.py", "content": "print()"}],
    env=[{"name": "LR", "value": "0.1"}],
    secrets=[{"name": "token", "mode": "Files"}],
    runtimeEnv={"pip": f"six==1.16.0 {HASH}"},
    ray={
        "version": "2.60.0",
        "head": {"cpu": "1", "memory": "2Gi"},
        "workers": {
            "count": 2,
            "gpus": 1,
            "gpuClass": "nvidia-rtx-4090",
            "cpu": "1",
            "memory": "2Gi",
            "customResources": [{"name": "disk"}],
        },
        "workerGroups": [{"name": "helpers", "cpu": "1", "memory": "2Gi"}],
    },
    budget={"limit": "5", "currency": "EUR"},
    project="cohorts",
    comparator={"absolute": "1e-6"},
    audit={"of": "study", "epoch": 1, "node": "tartu"},
)
WHOLE = authorized(NODE_BODY, purpose="research", permit="5/2026")
"""Every text that a job may have."""


def texts(thing: Any, at: Path = ()) -> Iterator[Path]:
    if isinstance(thing, str):
        yield at
    items = thing.items() if isinstance(thing, dict) else ()
    for key, inner in items or (enumerate(thing) if isinstance(thing, list) else ()):
        yield from texts(inner, (*at, key))


def changed(at: Path, value: Any) -> dict[str, Any]:
    body = json.loads(json.dumps(WHOLE))
    place: Any = body
    for step in at[:-1]:
        place = place[step]
    place[at[-1]] = value(place[at[-1]]) if callable(value) else value
    return body


def refusal(wire: dict[str, Any]) -> str:
    [objection] = judge(wire, policy(), facts()).objections
    assert objection.reason is MemberReason.MALFORMED
    return objection.message


PLACES = {".".join(map(str, at)): at for at in texts(WHOLE)}


def test_the_whole_job_is_readable():
    found = judge(grant(WHOLE), policy(), facts()).objections
    assert MemberReason.MALFORMED not in {one.reason for one in found}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("spoil", ["{}\0", "\0{}", "\0"], ids=["behind", "before", "alone"])
def test_no_text_of_a_job_holds_a_nul(name: str, spoil: str):
    """Neither runc nor the kernel takes it, and the API server passes it on."""
    said = refusal(grant(changed(PLACES[name], spoil.format)))
    assert said.startswith((f"jobSpec.{name}: ", f"jobSpec.{name.rpartition('.')[0]}: "))


@pytest.mark.parametrize("field", ["namespace", "name", "uid"])
def test_no_text_of_the_reference_holds_a_nul(field: str):
    wire = grant()
    told = wire["job"] | {field: wire["job"][field] + "\0"}
    assert refusal(grant(job=told)).startswith(f"job.{field}: ")


KEPT = ["a\tb\nc\r\n", "\x0c\x1b[0m", "\u2028õ\U0001f600", ""]


@pytest.mark.parametrize("text", KEPT, ids=ascii)
@pytest.mark.parametrize("name", ["entrypoint.1", "env.0.value", "files.0.content"])
def test_what_a_program_can_be_given_is_not_refused(name: str, text: str):
    found = judge(grant(changed(PLACES[name], text)), policy(), facts()).objections
    assert MemberReason.MALFORMED not in {one.reason for one in found}


NOTHING = ["0", "0.0", "00", "0.000", "0m", "0k", "0Gi", "0.0Ti", 0]
PODS: list[Path] = [("ray", "head"), ("ray", "workers"), ("ray", "workerGroups", 0)]


@pytest.mark.parametrize("amount", NOTHING, ids=repr)
@pytest.mark.parametrize("field", ["cpu", "memory"])
@pytest.mark.parametrize("pod", PODS, ids=repr)
def test_no_pod_asks_for_nothing(pod: Path, field: str, amount: object):
    """Work without GPUs is paid by its CPUs, and room is booked by both."""
    said = refusal(grant(changed((*pod, field), amount)))
    assert said.startswith(f"jobSpec.{'.'.join(map(str, pod))}.{field}: ")
