"""A control plane with one of the charts installed by the real Helm, and people to act as."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.charts import documents
from e2e.testbed.addons import helm
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane, KubectlError
from e2e.testbed.cluster.readiness import wait_established
from e2e.testbed.host.clock import ASKED_S, wait_until
from hansa.reconcile.hub.node_access import access_manifests
from tests.apiserver.crds.bases import BASES

ROOT = Path(__file__).parents[3]
SYSTEM = "hansa-system"
HUB = f"system:serviceaccount:{SYSTEM}:hansa-hub"


@dataclass(frozen=True)
class Act:
    """Something one may be allowed to do: a verb and a ``resource[.group][/subresource]``."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    def review(self, user: str) -> dict[str, Any]:
        """Return the question whether ``user`` may do it."""
        plain, _, sub = self.resource.partition("/")
        resource, _, group = plain.partition(".")
        attributes = {
            "verb": self.verb,
            "resource": resource,
            "group": group,
            "subresource": sub,
            "namespace": self.namespace,
            "name": self.name,
        }
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        }


@dataclass(frozen=True)
class Charted:
    """What the tests act on."""

    plane: ControlPlane
    binaries: Binaries
    chart: str
    values: Mapping[str, Any]

    def upgrade(self, *extra: str, **changes: Any) -> str:
        """Install or upgrade; does not wait for pods, there are no machines."""
        args = ["upgrade", "--install", self.chart, str(ROOT / "helm" / self.chart), "-n", SYSTEM]
        values = json.dumps({**self.values, **changes})
        return helm.run(
            self.binaries, self.plane.kubeconfig, [*args, *extra, "--values", "-"], stdin=values
        )

    def apply(self, *manifests: Mapping[str, Any], user: str = "", dry: bool = False) -> str:
        """Server-side apply, as ``user`` if given."""
        args = ["apply", "--server-side", "-f", "-", *(["--dry-run=server"] if dry else [])]
        text = "---\n".join(json.dumps(manifest) + "\n" for manifest in manifests)
        return self.kubectl(*args, user=user, stdin=text)

    def create(self, manifest: Mapping[str, Any], *, user: str = "", dry: bool = True) -> str:
        """Create one object, as a dry run unless said otherwise."""
        args = ["create", "-f", "-", *(["--dry-run=server"] if dry else [])]
        return self.kubectl(*args, user=user, stdin=json.dumps(manifest))

    def kubectl(self, *args: str, user: str = "", stdin: str | None = None) -> str:
        """Run kubectl as the admin, or impersonate ``user``."""
        return self.plane.kubectl(*(["--as", user] if user else []), *args, stdin=stdin)

    def lets(self, *args: str, user: str) -> bool:
        """Tell whether kubectl does it as ``user``: of a role bound just now the server does not know yet."""
        try:
            self.kubectl(*args, user=user)
        except KubectlError:
            return False
        return True

    def may(self, user: str, verb: str, resource: str, namespace: str = "", name: str = "") -> bool:
        """Ask the API server whether RBAC lets ``user`` do it."""
        return self.may_all(user, [Act(verb, resource, namespace, name)])[0]

    def may_all(self, user: str, acts: Sequence[Act]) -> list[bool]:
        """Ask the API server which of many things RBAC lets ``user`` do, all in one call."""
        reviews = "\n---\n".join(json.dumps(act.review(user)) for act in acts)
        told = self.kubectl("create", "-f", "-", "-o", "jsonpath={.status.allowed} ", stdin=reviews)
        answers = [answer == "true" for answer in told.split()]
        assert len(answers) == len(acts), told
        return answers


@contextmanager
def installed(binaries: Binaries, chart: str, **values: Any) -> Iterator[Charted]:
    """Yield a fresh control plane whose system namespace is restricted and holds the chart."""
    binaries.ensure("helm")
    with ControlPlane(binaries, controllers=True) as plane:
        charted = Charted(plane, binaries, chart, values)
        charted.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": SYSTEM,
                    "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
                },
            }
        )
        charted.upgrade()
        wait_established(plane)
        wait_until(lambda: _checked(plane), what="type checks of the policies", poll_s=ASKED_S)
        yield charted


@contextmanager
def hub_installed(binaries: Binaries, **values: Any) -> Iterator[Charted]:
    """Yield the hub's chart, with an institution's namespace and what the hub makes for a node."""
    with installed(binaries, "hansa-hub", **values) as charted:
        found_league(charted)
        yield charted


def found_league(hub: Charted) -> None:
    """Make, or make again, an institution's namespace, and what the hub makes for a node."""
    institution = {"hansa.dev/institution": "tartu-hospital"}
    hub.apply(thing("Namespace", "hospital", labels=institution))
    made = []
    for path, manifest in access_manifests("tartu"):
        if "/namespaces/hansa-node-tartu/" in path:
            manifest["metadata"]["namespace"] = "hansa-node-tartu"
        made.append(manifest)
    hub.apply(*made, user=HUB)


def thing(
    kind: str, name: str, api: str = "v1", *, space: str = "", labels: Any = None, **fields: object
) -> dict[str, Any]:
    """Return an object."""
    meta = {"name": name} | ({"namespace": space} if space else {})
    meta |= {"labels": labels} if labels else {}
    return {"apiVersion": api, "kind": kind, "metadata": meta, **fields}


def bare(kind: str, namespace: str = "", **spec: object) -> dict[str, Any]:
    """Return one of our objects as people apply it."""
    base = copy.deepcopy(BASES[kind])
    del base["status"]
    base["spec"].pop("audit", None)  # people make no audits
    base["metadata"] |= {"namespace": namespace} if namespace else {}
    return base | {"spec": base["spec"] | spec}


def _checked(plane: ControlPlane) -> bool:
    return all("typeChecking" in policy.get("status", {}) for policy in policies(plane))


def policies(plane: ControlPlane) -> list[dict[str, Any]]:
    """Return the admission policies with their status."""
    text = plane.kubectl("get", "validatingadmissionpolicies", "-o", "json")
    found: list[dict[str, Any]] = json.loads(text)["items"]
    return found


def locks(plane: ControlPlane) -> list[dict[str, Any]]:
    """Return the policies of the second lock: not what confines the guard, nor what knows our fields."""
    others = {"hansa-guard-confined", "known-fields.memberpolicies.hansa.dev"}
    return [one for one in policies(plane) if one["metadata"]["name"] not in others]


def pods_of(charted: Charted) -> dict[str, dict[str, Any]]:
    """Return a pod for each pod template the release installed."""
    manifest = helm.run(
        charted.binaries, charted.plane.kubeconfig, ["get", "manifest", charted.chart, "-n", SYSTEM]
    )
    pods = {}
    for document in documents(manifest):
        if document["kind"] in {"Deployment", "DaemonSet", "Job"}:
            template = document["spec"]["template"]
            name = document["metadata"]["name"]
            metadata = {**template["metadata"], "name": name, "namespace": SYSTEM}
            pods[name] = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": template["spec"],
            }
    return pods


def patched(
    hub: Charted, what: str, patch: dict, *args: str, space: str = "", user: str = HUB
) -> str:
    where = ("-n", space) if space else ()
    text = json.dumps(patch)
    return hub.kubectl("patch", what, *where, "--type=merge", "-p", text, *args, user=user)
