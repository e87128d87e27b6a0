"""What people and the processes do with the kinds, on a real API server."""

from __future__ import annotations

import copy
import functools
import json
import operator
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.testbed.cluster.controlplane import ControlPlane, KubectlError
from e2e.testbed.cluster.readiness import wait_established
from hansa.api.generate.extras import EXTRAS
from hansa.api.kinds import KINDS, Kind
from tests.apiserver.crds.bases import BASES

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).parents[3]
EXAMPLES = {path.stem: path for path in sorted((ROOT / "docs" / "examples").glob("*.yaml"))}


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> ControlPlane:
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", ROOT / "crds")
    wait_established(control_plane)
    return control_plane


@pytest.fixture
def namespace(plane: ControlPlane) -> Iterator[str]:
    name = f"use-{uuid.uuid4().hex[:8]}"
    plane.kubectl("create", "namespace", name)
    yield name
    plane.kubectl("delete", "namespace", name, "--wait=false")


def _bare(kind: str) -> dict:
    """The base without status, and of optional things only what is needed."""
    base = copy.deepcopy(BASES[kind])
    del base["status"]
    return base


def _create(plane: ControlPlane, namespace: str, manifest: dict) -> dict:
    out = plane.kubectl(
        "-n", namespace, "create", "-o", "json", "-f", "-", stdin=json.dumps(manifest)
    )
    return json.loads(out)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_field_can_be_explained(plane: ControlPlane, kind: Kind):
    text = plane.kubectl("explain", "--recursive", kind.plural)

    assert "spec" in text
    assert "<no description>" not in plane.kubectl("explain", f"{kind.plural}.spec")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_short_names_and_category(plane: ControlPlane, kind: Kind):
    listed = plane.kubectl("api-resources", "--categories=hansa", "-o", "name").split()

    assert f"{kind.plural}.hansa.dev" in listed
    for short in kind.short_names:
        plane.kubectl("get", short, "-A")


SELECTORS = {
    f"{kind} {path}": (kind, path.removeprefix("."))
    for kind, extras in EXTRAS.items()
    for path in extras.selectable
}


@pytest.fixture(scope="module")
def shelf(plane: ControlPlane) -> Iterator[dict[str, str]]:
    """One whole object of each kind that can be filtered; kind → its name."""
    space = f"shelf-{uuid.uuid4().hex[:8]}"
    plane.kubectl("create", "namespace", space)
    names = {}
    for kind in {kind for kind, _ in SELECTORS.values()}:
        whole = copy.deepcopy(BASES[kind])
        if kind == "SovereignNode":  # no namespace keeps it apart
            whole["metadata"]["name"] = space
        names[kind] = whole["metadata"]["name"]
        _create(plane, space, {key: value for key, value in whole.items() if key != "status"})
        status = json.dumps({"status": whole["status"]})
        patch = ("--subresource=status", "--type=merge", "-p", status)
        plane.kubectl("-n", space, "patch", kind, names[kind], *patch)
    yield names | {"": space}
    plane.kubectl("delete", "sovereignnode", space, "--wait=false")
    plane.kubectl("delete", "namespace", space, "--wait=false")


@pytest.mark.parametrize(("kind", "path"), SELECTORS.values(), ids=SELECTORS)
def test_people_can_filter(plane: ControlPlane, shelf: dict[str, str], kind: str, path: str):
    value = functools.reduce(operator.getitem, path.split("."), BASES[kind])

    def found(selector: str) -> list[str]:
        get = ("-n", shelf[""], "get", kind, "-o", "name", "--field-selector", selector)
        return [line.partition("/")[2] for line in plane.kubectl(*get).split()]

    assert shelf[kind] in found(f"{path}={value}")
    assert shelf[kind] not in found(f"{path}!={value}")


def test_only_what_is_declared_can_be_filtered(plane: ControlPlane, shelf: dict[str, str]):
    with pytest.raises(KubectlError, match="field label not supported"):
        plane.kubectl("-n", shelf[""], "get", "aijob", "--field-selector", "spec.image=x")


def test_the_server_writes_a_jobs_defaults(plane: ControlPlane, namespace: str):
    spec = {
        key: BASES["AIJob"]["spec"][key] for key in ("pool", "image", "entrypoint", "residency")
    }
    manifest = _bare("AIJob") | {"spec": {**spec, "ray": {"version": "2.60.0"}}}

    stored = _create(plane, namespace, manifest)

    assert stored["spec"]["disconnection"] == {"policy": "Continue", "maxUnattendedSeconds": 3600}
    assert stored["spec"]["ray"]["workers"]["count"] == 1
    assert "status" not in stored


def test_the_server_adds_nothing_to_what_is_signed_and_takes_nothing_away(
    plane: ControlPlane, namespace: str
):
    manifest = _bare("WorkGrant")
    job = BASES["AIJob"]["spec"]
    needed = {key: job[key] for key in ("pool", "image", "entrypoint", "residency")}
    of_a_newer_hub = {"fromTheFuture": {"a": [1, None]}}
    manifest["spec"]["jobSpec"] = {**needed, "ray": {"version": "2.60.0"}, **of_a_newer_hub}
    del manifest["spec"]["overlays"], manifest["spec"]["cancel"]

    stored = _create(plane, namespace, manifest)

    assert stored["spec"].pop("cancel") == "None"  # unsigned
    assert stored["spec"] == manifest["spec"]


@pytest.mark.parametrize("path", EXAMPLES.values(), ids=EXAMPLES)
def test_the_examples_are_accepted(plane: ControlPlane, namespace: str, path: Path):
    text = re.sub(
        r"^  namespace: \S+$", f"  namespace: {namespace}", path.read_text(), flags=re.MULTILINE
    )

    assert "created" in plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=text)
