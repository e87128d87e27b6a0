"""A field that a spec does not have is refused by its name, on a real API server, at every depth.

With validation by the client and by the server switched off, as old clients and client libraries send.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.host.clock import wait_until
from hansa.api.generate.schema import custom_resource_definition, files
from hansa.api.kinds import KINDS
from tests.apiserver.crds.api_kit import Api, collection_of
from tests.apiserver.crds.bases import BASES

pytestmark = pytest.mark.apiserver

POLICIES = {str(path): text for path, text in files().items() if "known-fields" in path.name}
KNOWN = {kind.name: kind for kind in KINDS if any(f".{kind.plural}." in p for p in POLICIES)}


def _levels(schema: dict[str, Any], value: Any, way: tuple = ()) -> Iterator[tuple]:
    """Yield where each object of ``value`` stands that the schema describes field by field."""
    if "items" in schema:
        yield from _levels(schema["items"], value[0], (*way, 0))
    elif "properties" in schema:
        yield way
        for name, child in schema["properties"].items():
            if name in value:
                yield from _levels(child, value[name], (*way, name))


def _schema(name: str) -> dict[str, Any]:
    (version,) = custom_resource_definition(KNOWN[name])["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]["properties"]["spec"]


def _dotted(way: tuple) -> str:
    text = "spec"
    for step in way:
        text += "[]" if isinstance(step, int) else f".{step}"
    return text


CASES = {
    f"{name} {_dotted(way)}": (name, way)
    for name in KNOWN
    for way in _levels(_schema(name), BASES[name]["spec"])
}


def _nested(schema: dict[str, Any], path: str = "spec") -> Iterator[str]:
    if "items" in schema:
        yield from _nested(schema["items"], f"{path}[]")
    elif "properties" in schema:
        yield path
        for name, child in schema["properties"].items():
            yield from _nested(child, f"{path}.{name}")


def test_every_object_of_every_spec_has_a_case():
    for name in KNOWN:
        assert {f"{name} {path}" for path in _nested(_schema(name))} == {
            case for case in CASES if case.startswith(f"{name} ")
        }


@pytest.fixture(scope="module")
def guarded(control_plane: ControlPlane, api: Api) -> Iterator[Api]:
    names = []
    for text in POLICIES.values():
        policy = yaml.safe_load(text)
        names.append(policy["metadata"]["name"])
        binding = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": policy["metadata"],
            "spec": {"policyName": names[-1], "validationActions": ["Deny"]},
        }
        both = "\n---\n".join(map(json.dumps, (policy, binding)))
        control_plane.kubectl("apply", "-f", "-", stdin=both)
    wait_until(
        lambda: all(_sent(api, name, ("denny",))[0] == 422 for name in KNOWN), what="refusals"
    )
    yield api
    for name in names:
        control_plane.kubectl("delete", "validatingadmissionpolicybinding", name)
        control_plane.kubectl("delete", "validatingadmissionpolicy", name)


def _sent(api: Api, name: str, way: tuple) -> tuple[int, dict]:
    body = json.loads(json.dumps(BASES[name]))  # nothing in it is shared
    body.pop("status", None)
    if way:
        *inner, last = way
        place = body["spec"]
        for step in inner:
            place = place[step]
        place[last] = 1
    return api.call("POST", f"{collection_of(KNOWN[name])}?dryRun=All&fieldValidation=Ignore", body)


@pytest.mark.parametrize("name", KNOWN)
def test_what_a_spec_has_is_let_in(guarded: Api, name: str):
    status, answer = _sent(guarded, name, ())

    assert status == 201, answer


@pytest.mark.parametrize(("name", "way"), CASES.values(), ids=CASES)
def test_what_a_spec_does_not_have_is_refused_by_name(guarded: Api, name: str, way: tuple):
    status, answer = _sent(guarded, name, (*way, "denny"))

    assert status == 422, answer
    assert f"there is no field {_dotted(way)}.denny;" in answer["message"]
