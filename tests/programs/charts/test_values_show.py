"""No value is accepted and ignored: each, changed alone, changes what the chart renders, and arrives in it.

Settings of processes are another test's (``test_chart_settings``), and so are switches that make or leave
out whole objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.programs.conftest import ROOT, Render

NETWORK, PEER = "203.0.113.0/24", {"podSelector": {"matchLabels": {"mark": "changed"}}}
SOMEWHERE = {"podAffinity": {"mark": "changed"}}
RELABEL = [{"sourceLabels": ["changed"]}]
MONITORED = {
    "monitoring.serviceMonitor": {"enabled": True},
    "monitoring.podMonitor": {"enabled": True},
    "monitoring.prometheusRule": {"enabled": True},
    "monitoring.dashboard": {"enabled": True},
    "join": {"enabled": True, "server": "https://hub.example", "caBundle": "public"},
}
"""Switched on around what is looked at."""
QUANTITIES = {"cpu": "77m", "memory": "77Mi"}
EACH: dict[str, Any] = {
    "affinity": SOMEWHERE,
    "admission.dataPaths": ["/changed"],
    "admission.defaultPriorityClass": "changed",
    "crds.install": False,
    "extraEnv": [{"name": "CHANGED", "value": "changed"}],
    "global.imagePullSecrets": ["changed"],
    "global.imageRegistry": "changed.example",
    "leaders": [{"name": "changed", "pools": ["changed"]}],
    "image.digest": "sha256:" + "7" * 64,
    "image.pullPolicy": "Always",
    "image.pullSecrets": ["changed"],
    "image.repository": "team/changed",
    "monitoring.*.interval": "77s",
    "monitoring.*.labels": {"mark": "changed"},
    "monitoring.*.metricRelabelings": RELABEL,
    "monitoring.*.relabelings": RELABEL,
    "monitoring.*.runbooks": "https://wiki.example.org/changed",
    "networkPolicy.apiServer.cidrs": [NETWORK],
    "networkPolicy.apiServer.ports": [77],
    "networkPolicy.dns": [{"namespace": "changed", "port": 5300}],
    "networkPolicy.hub.cidrs": [NETWORK],
    "networkPolicy.hub.ports": [77],
    "networkPolicy.metricsFrom": [PEER],
    "nodeSelector": {"mark": "changed"},
    "podAnnotations": {"mark": "changed"},
    "podLabels": {"mark": "changed"},
    "podSecurityContext": {"mark": "changed"},
    "priorityClassName": "changed",
    "replicas": 4,
    "resources.limits": QUANTITIES,
    "resources.requests": QUANTITIES,
    "tolerations": [{"key": "changed"}],
    # the hub's
    "admission.enabled": False,
    "join.enabled": False,
    "join.serviceAccountName": "changed",
    "ledger.database.at": [PEER],
    "ledger.database.port": 77,
    "ledger.database.secretKey": "changed",
    "ledger.database.secretName": "changed",
    "ledger.database.volume.size": "77Gi",
    "ledger.database.volume.storageClassName": "changed",
    "ledger.enabled": False,
    "ledger.logPolicy": "quorum none",
    "ledger.resources.limits": QUANTITIES,
    "ledger.resources.requests": QUANTITIES,
    "rbac.aggregate": False,
    "signingKey.secretName": "changed",
    # the member's
    "exporter.affinity": SOMEWHERE,
    "exporter.enabled": False,
    "exporter.hostPID": True,
    "exporter.nodeSelector": {"mark": "changed"},
    "exporter.resources.limits": QUANTITIES,
    "exporter.resources.requests": QUANTITIES,
    "exporter.runtimeClassName": "changed",
    "exporter.tolerations": [{"key": "changed"}],
    "guard.replicas": 4,
    "guard.resources.limits": QUANTITIES,
    "guard.resources.requests": QUANTITIES,
    "identitySecret": "changed",
    "join.caBundle": "changed",
    "join.server": "https://changed.example",
    "join.tokenSecret": "changed",
    "kuberay.namespace": "changed",
    "kuberay.serviceAccount": "changed",
    "lentSecrets": ["changed"],
    "monitoring.*.enabled": False,
    "networkPolicy.enabled": False,
    "node": "changed",
    "proxy.cidrs": [NETWORK],
    "proxy.direct": ["changed.example"],
    "proxy.url": "http://changed.example",
    "resolver.clusterDomain": "changed.example",
    "resolver.image": "team/changed:1",
    "resolver.replicas": 4,
    "resolver.resources.limits": QUANTITIES,
    "resolver.resources.requests": QUANTITIES,
    "witnessKey.secretName": "changed",
}
"""Value → another one, marked so that it is found again. ``*``: each of the monitors."""


def leaves(schema: dict[str, Any], way: str = "") -> Iterator[str]:
    """Yield the values of a chart by their paths; settings of processes are left out."""
    for name, child in schema["properties"].items():
        if name == "settings":
            continue
        if "properties" in child:
            yield from leaves(child, f"{way}{name}.")
        else:
            yield f"{way}{name}"


def another(path: str, number: int) -> Any:
    """Return a value's other one, with marks of its own."""
    kind, _, field = path.rpartition(".")
    value = EACH[path] if path in EACH else EACH[f"{kind.partition('.')[0]}.*.{field}"]
    text = json.dumps(value).replace("changed", f"changed{number}x")
    text = text.replace("203.0.113.0/24", f"203.0.{number}.0/24")
    return json.loads(re.sub(r"\b77(?=[a-zM\]])", f"7{number:03}", text))


CASES = [
    (chart, path)
    for chart in ("hansa-hub", "hansa-member")
    for path in leaves(json.loads((ROOT / "helm" / chart / "values.schema.json").read_text()))
]


def put(changes: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split(".")
    for step in way:
        changes = changes.setdefault(step, {})
    changes[last] = {**changes[last], **value} if isinstance(changes.get(last), dict) else value


def around(chart: str) -> dict[str, Any]:
    """Return what has to be on for a value to matter."""
    changes: dict[str, Any] = {"node": "tartu"} if chart == "hansa-member" else {}
    for other, value in MONITORED.items():
        known = {one for kind, one in CASES if kind == chart and one.startswith(f"{other}.")}
        if known and (other != "join" or chart == "hansa-member"):
            put(changes, other, dict(value))
    return changes


def atoms(value: Any) -> Iterator[str]:
    """Yield what a rendered value must show somewhere."""
    if isinstance(value, dict):
        for child in value.values():
            yield from atoms(child)
    elif isinstance(value, list):
        for child in value:
            yield from atoms(child)
    elif not isinstance(value, bool):
        yield str(value)


SWITCHES = [case for case in CASES if isinstance(another(case[1], 0), bool | int)]


@pytest.mark.parametrize(("chart", "path"), SWITCHES, ids=[" ".join(case) for case in SWITCHES])
def test_a_switch_that_is_changed_is_seen(render: Render, chart: str, path: str):
    before = around(chart)
    after = json.loads(json.dumps(before))
    put(after, path, another(path, 0))

    assert render(chart, None, **before) != render(chart, None, **after)


ALIKE = {
    "hub": ("hansa-hub", lambda _: True),
    "member": ("hansa-member", lambda path: not path.startswith("proxy.")),
    "member by a proxy": ("hansa-member", lambda path: not path.startswith("networkPolicy.hub.")),
}
"""Values that can all show at once: with a proxy in between, the hub's own place does not matter."""


@pytest.mark.parametrize("name", ALIKE)
def test_a_value_that_is_changed_arrives(render: Render, name: str):
    """All at once, each with marks of its own."""
    chart, counts = ALIKE[name]
    changes, marks = around(chart), {}
    for number, (kind, path) in enumerate(CASES):
        if kind == chart and (kind, path) not in SWITCHES and counts(path):
            marks[path] = another(path, number)
            put(changes, path, marks[path])
    text = json.dumps(render(chart, None, **changes))

    assert len(marks) > 20
    lost = {path: [m for m in atoms(value) if m not in text] for path, value in marks.items()}
    assert {path: some for path, some in lost.items() if some} == {}


def test_each_other_value_is_of_a_chart():
    known = {path for _, path in CASES}
    stars = {f"monitoring.*.{path.rpartition('.')[2]}" for path in known if "monitoring." in path}
    assert EACH.keys() <= known | stars


def test_all_pods_carry_what_is_said_of_all(render: Render):
    said = {
        "podLabels": {"mark": "x"},
        "podAnnotations": {"mark": "x"},
        "priorityClassName": "x",
        "global": {
            "imageRegistry": "mirror.example:5000/hansa",
            "imagePullSecrets": ["x", {"name": "y"}],
        },
        "podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
    }
    for chart in ("hansa-hub", "hansa-member"):
        on = around(chart) | said
        workloads = [d for d in render(chart, None, **on) if d["kind"] in {"Deployment", "DaemonSet", "Job"}]  # fmt: skip
        assert len(workloads) == {"hansa-hub": 2, "hansa-member": 5}[chart]
        for one in workloads:
            metadata, spec = (one["spec"]["template"][part] for part in ("metadata", "spec"))
            assert metadata["labels"]["mark"] == metadata["annotations"]["mark"] == "x"
            assert spec["imagePullSecrets"] == [{"name": "x"}, {"name": "y"}]
            assert spec["priorityClassName"] == "x"
            assert spec["securityContext"].keys() <= {"runAsNonRoot", "seccompProfile", "sysctls"}
            for box in spec["containers"]:
                assert box["image"].startswith("mirror.example:5000/hansa/"), box["image"]
                assert "docker.io" not in box["image"]


def test_a_registry_takes_the_place_of_an_images_own(render: Render):
    on = {"node": "a", "global": {"imageRegistry": "mirror.example"}}
    images = {
        box["image"]
        for one in render("hansa-member", None, **on)
        if one["kind"] in {"Deployment", "DaemonSet"}
        for box in one["spec"]["template"]["spec"]["containers"]
    }
    version = (ROOT / "operator/hansa/__init__.py").read_text().split('"')[-2]
    assert images == {f"mirror.example/hansa:{version}", "mirror.example/coredns/coredns:1.15.0"}
