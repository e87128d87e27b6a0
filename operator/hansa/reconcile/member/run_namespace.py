"""The objects of a run: its namespace, what fences and feeds it, and the object that does the work.

One create an object and no reads: names follow from job and epoch, so a second attempt meets its
own 409. Fences are the same for every workload, which cannot leave one out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from hansa.api.job.packages import PackageIndex
from hansa.model.times import from_rfc3339
from hansa.ports import Manifest
from hansa.reconcile.member import data
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.contracts.time_limits import terms
from hansa.reconcile.member.platform import destinations
from hansa.reconcile.member.platform.pod_settings import pull_name
from hansa.reconcile.member.platform.resolvers import KNOWN, Resolver
from hansa.reconcile.member.run_request import (
    ACCOUNT,
    MANAGER,
    RECORD,
    RESOLVER,
    RUN_ROLE,
    Creation,
    RunRequest,
    lent_name,
)
from hansa.reconcile.member.workload import Rendering, Workload

RBAC = "rbac.authorization.k8s.io"
RECORD_KEY = "grant.json"
OVER_TLS = 853
REMOVAL_PATIENCE_S = 120
"""A namespace that is still there so long after its deletion hangs."""
MOST_NAMED = 8


def removal_trouble(namespaces: Iterable[Mapping[str, Any]], now_s: float) -> str:
    """Return which namespaces of runs hang in their deletion, and what holds them; empty: none."""
    hang = sorted(filter(None, (_hangs(one, now_s) for one in namespaces)))
    more = [f"and {len(hang) - MOST_NAMED} more"] if len(hang) > MOST_NAMED else []
    return "; ".join([*hang[:MOST_NAMED], *more])


def _hangs(namespace: Mapping[str, Any], now_s: float) -> str:
    metadata = namespace["metadata"]
    deleted = metadata.get("deletionTimestamp")
    if deleted is None:
        return ""
    since_s = from_rfc3339(deleted)
    if since_s is not None and now_s - since_s <= REMOVAL_PATIENCE_S:
        return ""
    conditions = (namespace.get("status") or {}).get("conditions") or ()
    said = " ".join(str(c.get("message", "")) for c in conditions if c.get("status") == "True")
    return f"{metadata['name']} is Terminating since {deleted}" + (said and f": {said}")


def waves(request: RunRequest, workload: Workload) -> list[list[Creation]]:
    """Return the objects of a run in waves: within a wave, order does not matter.

    1. The namespace, with Pod Security. 2. What fences and feeds the job. 3. What does the work.
    """
    made = workload.render(request)
    core = f"/api/v1/namespaces/{request.name}"
    rights = f"/apis/{RBAC}/v1/namespaces/{request.name}/rolebindings"
    policies = f"/apis/networking.k8s.io/v1/namespaces/{request.name}/networkpolicies"
    fences = [
        Creation(f"{core}/serviceaccounts", _service_account(request)),
        Creation(rights, _own_rights(request)),
        Creation(policies, _network_policy(request, made)),
        Creation(f"{core}/resourcequotas", _quota(request, made)),
        Creation(f"{core}/configmaps", _record(request, made)),
        Creation(f"{core}/configmaps", _alive(request)),
        *(Creation(f"{core}/secrets", _secret(request, name)) for name in sorted(request.secrets)),
        *(
            Creation(f"{core}/secrets", _pull_secret(request, name, held))
            for name, held in sorted(request.pull_secrets.items())
        ),
        *data.volumes(request),
    ]
    resource = workload.resource
    work = _object(resource.api_version, resource.kind, request.name, request, spec=made.spec)
    _mark(work, request)
    return [
        [Creation("/api/v1/namespaces", _namespace(request))],
        fences,
        [Creation(resource.path(request.name), work)],
    ]


def _mark(work: Manifest, request: RunRequest) -> None:
    """Put the platform team's labels and annotations on what does the work: its operators read it."""
    settings = request.options.pods
    work["metadata"]["labels"] = {**settings.labels, **request.labels}
    if settings.annotations:
        work["metadata"]["annotations"] = dict(settings.annotations)


def _object(api: str, kind: str, name: str, request: RunRequest, **fields: Any) -> Manifest:
    metadata = {"name": name, "labels": request.labels}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def _namespace(request: RunRequest) -> Manifest:
    body = _object("v1", "Namespace", request.name, request)
    body["metadata"]["labels"] = request.labels | {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    body["metadata"]["annotations"] = terms(request.contract)
    return body


def _service_account(request: RunRequest) -> Manifest:
    return _object("v1", "ServiceAccount", ACCOUNT, request, automountServiceAccountToken=False)


def _own_rights(request: RunRequest) -> Manifest:
    """Return what lets the agent read this run's pods and logs: it can read no others."""
    account = {
        "kind": "ServiceAccount",
        "name": MANAGER,
        "namespace": request.options.agent_namespace,
    }
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": RUN_ROLE}
    return _object(f"{RBAC}/v1", "RoleBinding", "agent", request, roleRef=role, subjects=[account])


def _secret(request: RunRequest, name: str) -> Manifest:
    held = dict(request.secrets[name])
    return _object("v1", "Secret", lent_name(name), request, data=held, immutable=True)


def _pull_secret(request: RunRequest, name: str, held: Mapping[str, Any]) -> Manifest:
    """Return a copy that the machines' kubelets read; no container of a run can: see the second lock."""
    fields = {"type": held["type"], "data": dict(held["data"]), "immutable": True}
    return _object("v1", "Secret", pull_name(name), request, **fields)


def _record(request: RunRequest, made: Rendering) -> Manifest:
    """Return the ConfigMap that lets the agent finish and report without the hub."""
    return _object(
        "v1",
        "ConfigMap",
        RECORD,
        request,
        immutable=True,
        data={
            **made.files,
            RECORD_KEY: json.dumps(request.wire, separators=(",", ":"), sort_keys=True),
        },
    )


def _alive(request: RunRequest) -> Manifest:
    """Return the ConfigMap that the guard renews for as long as the run may go on."""
    until = alive.validity(request.now_s, request.alive_until_s)
    return _object("v1", "ConfigMap", alive.NAME, request, data=until)


def _network_policy(request: RunRequest, made: Rendering) -> Manifest:
    """Return one policy for all pods: what it does not list is denied, both ways."""
    spec = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": {}}]}, *made.ingress],
        "egress": [{"to": [{"podSelector": {}}]}, *_to_names(request), *_to_the_world(request)],
    }
    return _object("networking.k8s.io/v1", "NetworkPolicy", "fence", request, spec=spec)


def _to_names(request: RunRequest) -> list[Manifest]:
    if not request.is_shut_in:
        return [one.rule() for one in request.options.resolvers]
    rule = Resolver(request.options.agent_namespace).rule()
    rule["to"][0]["podSelector"] = {"matchLabels": {"app.kubernetes.io/name": RESOLVER}}
    return [rule]


def _to_the_world(request: RunRequest) -> list[Manifest]:
    index = request.index
    rules = [] if index is None else [_to_index(index)]
    for egress in request.policy.egress:
        rule: Manifest = {"to": [{"ipBlock": destinations.block(egress.cidr)}]}
        ports = _ports(egress.ports, _name_ports(request))
        if ports or not (egress.ports or request.is_shut_in):
            rules.append(rule | ({"ports": ports} if ports else {}))
    return rules


def _to_index(index: PackageIndex) -> Manifest:
    ports = [{"protocol": "TCP", "port": index.port}]
    return {"to": [{"ipBlock": {"cidr": index.network}}], "ports": ports}


def _name_ports(request: RunRequest) -> list[int]:
    """Return where resolvers listen that a run must not ask; a policy is read after a Service was translated."""
    if not request.is_shut_in:
        return []
    return sorted({OVER_TLS, *(one.port for one in (*KNOWN, *request.options.resolvers))})


def _ports(ports: tuple[int, ...], closed: Sequence[int]) -> list[Manifest]:
    """Return the ports of one destination without those ``closed``, in order; none: all of every protocol."""
    if closed and not ports:
        edges = [0, *closed, 65536]
        between = ((low + 1, high - 1) for low, high in pairwise(edges))
        return [
            {"protocol": "TCP", "port": first, "endPort": last}
            for first, last in between
            if first <= last
        ]
    return [{"protocol": "TCP", "port": port} for port in ports if port not in closed]


def _quota(request: RunRequest, made: Rendering) -> Manifest:
    return _object("v1", "ResourceQuota", "size", request, spec={"hard": dict(made.quota)})
