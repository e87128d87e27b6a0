"""Lints the charts: ``helm lint --strict``, then kubeconform over what they render. Offline.

``python -m e2e.charts``; part of ``make lint``. The schemas of Kubernetes' own kinds lie beside this
file, cut down to what the charts use; ``--refresh`` reads them anew from a real API server.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from e2e.testbed.build import families
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane
from hansa.api.generate.schema import custom_resource_definition
from hansa.api.kinds import KINDS

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = Path(__file__).parent / "schemas"
DEFINITIONS = "kubernetes.json"
KUBERNETES = families.KUBERNETES.version.removeprefix("v")
GROUPS = {
    "api/v1": (
        *("ConfigMap", "Namespace", "PersistentVolumeClaim", "Secret", "Service"),
        "ServiceAccount",
    ),
    "apis/admissionregistration.k8s.io/v1": (
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ),
    "apis/apiextensions.k8s.io/v1": ("CustomResourceDefinition",),
    "apis/apps/v1": ("DaemonSet", "Deployment"),
    "apis/batch/v1": ("Job",),
    "apis/networking.k8s.io/v1": ("NetworkPolicy",),
    "apis/policy/v1": ("PodDisruptionBudget",),
    "apis/rbac.authorization.k8s.io/v1": (
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
    ),
}
"""API group → kinds that the charts render."""
FOREIGN = ("PodMonitor", "PrometheusRule", "ServiceMonitor")
"""Kinds of the Prometheus operator: their schemas are not ours to keep."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Lint every chart with each of its ``ci`` values; returns the number of failures."""
    parser = argparse.ArgumentParser(description="Lint the charts.")
    parser.add_argument(
        "--refresh", action="store_true", help="read the schemas from an API server"
    )
    binaries = Binaries()
    if parser.parse_args(arguments).refresh:
        with ControlPlane(binaries) as plane:
            SCHEMAS.mkdir(exist_ok=True)
            (SCHEMAS / DEFINITIONS).write_text(definitions_text(plane), encoding="utf-8")
    cases = [(path.parents[1], path) for path in sorted(ROOT.glob("helm/*/ci/*.yaml"))]
    with tempfile.TemporaryDirectory() as folder:
        write_schemas(Path(folder))
        failed = [case for case in cases if not _lint(binaries, *case, schemas=Path(folder))]
        failed += [] if _examples_conform(binaries, Path(folder)) else [(ROOT, ROOT)]
    return len(failed)


def documents(manifests: str) -> list[dict[str, Any]]:
    """Return the documents of a YAML stream, by libyaml: definitions are long."""
    return [document for document in yaml.load_all(manifests, yaml.CSafeLoader) if document]


def definitions_text(plane: ControlPlane) -> str:
    """Return the definitions that the charts' kinds reach, as the API server publishes them."""
    known: dict[str, Any] = {}
    roots: dict[str, str] = {}
    for path, kinds in GROUPS.items():
        found = json.loads(plane.kubectl("get", "--raw", f"/openapi/v3/{path}"))
        known |= found["components"]["schemas"]
        for name, schema in found["components"]["schemas"].items():
            for row in schema.get("x-kubernetes-group-version-kind", ()):
                if row["kind"] in kinds and name.endswith(f".{row['kind']}"):
                    roots[row["kind"]] = name
    reached = _reachable(known, roots.values())
    document = {
        "kinds": dict(sorted(roots.items())),
        "definitions": {name: _strict(known[name]) for name in sorted(reached)},
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True) + "\n"


def _reachable(known: dict[str, Any], roots: Any) -> set[str]:
    waiting, reached = list(roots), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _references(known[name])
    return reached


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):  # JSONSchemaProps has a field of that name
            yield node["$ref"].rpartition("/")[2]
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def _strict(node: Any) -> Any:
    """Return the schema without prose, with references that a file can have, and closed."""
    if isinstance(node, list):
        return [_strict(child) for child in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return {"$ref": "#/definitions/" + node["$ref"].rpartition("/")[2]}
    out = {
        key: _strict_properties(child) if key == "properties" else _strict(child)
        for key, child in node.items()
        if key not in {"description", "default"} and not key.startswith("x-kubernetes")
    }
    if "properties" in out:
        out["additionalProperties"] = False
    return out


def _strict_properties(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: _strict(child) for name, child in properties.items()}


def write_schemas(folder: Path) -> None:
    """Write one schema file a kind, Kubernetes' and Hansa's, in the shape kubeconform looks for."""
    stored = json.loads((SCHEMAS / DEFINITIONS).read_text(encoding="utf-8"))
    for kind, name in stored["kinds"].items():
        schema = {"$ref": f"#/definitions/{name}", "definitions": stored["definitions"]}
        (folder / f"{kind.lower()}.json").write_text(json.dumps(schema), encoding="utf-8")
    for row in KINDS:
        version = custom_resource_definition(row)["spec"]["versions"][0]
        schema = _strict(version["schema"]["openAPIV3Schema"])
        schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}}
        (folder / f"{row.name.lower()}.json").write_text(json.dumps(schema), encoding="utf-8")


def _lint(binaries: Binaries, chart: Path, values: Path, *, schemas: Path) -> bool:
    helm = str(binaries["helm"])
    linted = _run([helm, "lint", "--strict", "--quiet", str(chart), "-f", str(values)])
    rendered = _run(
        [helm, "template", chart.name, str(chart), "--kube-version", KUBERNETES, "-f", str(values)]
    )
    good = linted.returncode == 0 and rendered.returncode == 0
    if not good:
        print(linted.stdout + linted.stderr + rendered.stderr, file=sys.stderr)
        return False
    title = f"{chart.name} with {values.name}"
    return _conforms(binaries, rendered.stdout, schemas=schemas, title=title)


def _examples_conform(binaries: Binaries, schemas: Path) -> bool:
    paths = sorted((ROOT / "docs" / "examples").rglob("*.yaml"))
    text = "---\n".join(path.read_text(encoding="utf-8") for path in paths)
    return _conforms(binaries, text, schemas=schemas, title="docs/examples")


def _conforms(binaries: Binaries, manifests: str, *, schemas: Path, title: str) -> bool:
    found = len(documents(manifests))
    location = f"{schemas}/{{{{.ResourceKind}}}}.json"
    done = _run(
        [
            *(str(binaries["kubeconform"]), "-strict", "-summary", "-skip", ",".join(FOREIGN)),
            *("-schema-location", location, "-"),
        ],
        stdin=manifests,
    )
    print(f"{title}: {done.stdout.strip()}")
    if f"Summary: {found} resource" not in done.stdout:
        print(f"{title}: {found} manifests were expected", file=sys.stderr)
        return False
    return done.returncode == 0


def _run(argv: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
