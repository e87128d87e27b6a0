"""The member's chart on a real API server: what installs, and what its accounts may reach.

What the second lock refuses is in ``test_second_lock``; here are the rights before it, by asking for
everything the API server has.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import pytest
import yaml

from e2e.testbed.build.binaries import Binaries
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from tests.apiserver.access.reach import Asker, Attempt, attempts, discover, let_through
from tests.apiserver.charts.charted import SYSTEM, Charted, installed, pods_of
from tests.apiserver.lock.kit import AGENT, Server, make_by_law
from tests.apiserver.lock.lawful import REQUEST, law_of
from tests.apiserver.member.kit import install_kuberay

pytestmark = pytest.mark.apiserver
EXPORTER = f"system:serviceaccount:{SYSTEM}:hansa-exporter"
ANYBODY = "system:serviceaccount:default:default"
RUN, CANARY, ELSEWHERE = REQUEST.name, "hansa-canary", "kube-system"


@pytest.fixture(scope="module")
def member(binaries: Binaries) -> Iterator[Charted]:
    join = {"enabled": True, "server": "https://hub.example:6443", "caBundle": "x"}
    with installed(
        binaries, "hansa-member", node="tartu", lentSecrets=["lent"], join=join
    ) as charted:
        install_kuberay(charted.plane, binaries)
        charted.apply(law_of())
        yield charted


@pytest.fixture(scope="module")
def running(member: Charted) -> Charted:
    """Everything of one run made, by the agent and with its own rights."""
    make_by_law(Server(member.plane), REQUEST, almighty=False)
    return member


def test_pods_of_the_chart_are_restricted(member: Charted):
    pods = pods_of(member)

    assert {name.rpartition("-")[0] for name in pods} == {"hansa", "hansa-join"}
    for pod in pods.values():
        assert "created" in member.create(pod)


EVENTS = {("core/events", "create"), ("events.k8s.io/events", "create")}
MADE_IN_RUNS = {
    *(f"core/{name}" for name in ("configmaps", "persistentvolumeclaims", "resourcequotas")),
    *("core/secrets", "core/serviceaccounts", "networking.k8s.io/networkpolicies"),
    *("rbac.authorization.k8s.io/rolebindings", "ray.io/rayjobs"),
}
"""What RBAC lets the agent create anywhere; the second lock keeps it to its runs."""
EVERYWHERE = {
    *EVENTS,
    *((resource, "create") for resource in MADE_IN_RUNS),
    *(("ray.io/rayjobs", verb) for verb in ("get", "list", "watch", "delete")),
    ("apps/deployments", "list"),
}
CLUSTER = {
    ("resource.k8s.io/resourceslices", "list"),
    *(("core/nodes", verb) for verb in ("get", "list", "watch")),
    *(("core/namespaces", verb) for verb in ("get", "list", "watch", "create", "delete")),
    *(("core/persistentvolumes", verb) for verb in ("get", "list", "create", "delete")),
    *(("hansa.dev/memberpolicies", verb) for verb in ("get", "list", "watch")),
    *(("hansa.dev/memberpolicies/status", verb) for verb in ("get", "patch", "update")),
    *(
        ("apiextensions.k8s.io/customresourcedefinitions", verb)
        for verb in ("get", "list", "watch")
    ),
}
LEASES, CONFIGMAPS = "coordination.k8s.io/leases", "core/configmaps"
HERE: dict[str, set[tuple[str, str]]] = {
    SYSTEM: {
        *((CONFIGMAPS, verb) for verb in ("get", "list", "watch", "patch", "update")),
        *((LEASES, verb) for verb in ("get", "create", "patch")),
        *(("core/persistentvolumeclaims", verb) for verb in ("get", "list", "watch")),
        ("core/pods", "list"),
    },
    RUN: {("core/pods", "list"), ("core/events", "list"), ("core/pods/log", "get")},
    CANARY: {
        *((f"core/{name}", "create") for name in ("pods", "services")),
        ("networking.k8s.io/ingresses", "create"),
    },
    ELSEWHERE: set(),
}
"""Namespace → what the agent may do there besides what it may everywhere."""
NAMED = {
    (SYSTEM, "core/secrets", "get", "hansa-identity"),
    (SYSTEM, "core/secrets", "patch", "hansa-identity"),
    (SYSTEM, "core/secrets", "update", "hansa-identity"),
    (SYSTEM, "core/secrets", "get", "lent"),
    (SYSTEM, "core/secrets", "get", "hansa-results"),
    (SYSTEM, "core/secrets", "patch", "hansa-results"),
    *((SYSTEM, "core/secrets", verb, "hansa-logs-7") for verb in ("get", "patch")),
    (SYSTEM, "core/services", "get", "hansa-resolver"),
    *((place, CONFIGMAPS, "get", name) for place in HERE for name in ("grant", "alive")),
    *(
        ("", f"admissionregistration.k8s.io/{kind}", "get", "hansa-agent")
        for kind in ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    ),
}
"""What it may do with a thing of this name, and with no other."""
THINGS = (
    "other",
    "grant",
    "lent",
    "hansa-identity",
    "hansa-agent",
    "hansa-results",
    "hansa-logs-7",
    "hansa-logs-8",
    "hansa-resolver",
)


def expected(asked: Iterable[Attempt], anybody: set[tuple[str, str, str, str]]) -> set:
    """Return which of the attempts the tables allow, and what any account may."""
    allowed = set(anybody)
    for attempt in asked:
        act = (attempt.resource.full_name, attempt.verb)
        here = EVERYWHERE | HERE.get(attempt.namespace, set())
        may = act in (here if attempt.resource.namespaced else CLUSTER)
        if may or attempt.key in NAMED:
            allowed.add(attempt.key)
    return allowed


async def reached(plane: Charted, user: str, asked: list[Attempt]) -> set:
    """Return the keys of what RBAC lets ``user`` do, by asking for it in earnest (as dry runs)."""
    groups = ["system:authenticated", "system:serviceaccounts"]
    place = from_kubeconfig(plane.plane.kubeconfig_for(user, groups))
    async with Asker(place) as asker:
        return let_through(await asker.all(asked))


async def test_what_the_agent_may_reach(running: Charted):
    async with KubeCluster(from_kubeconfig(running.plane.kubeconfig), clock=SystemClock()) as admin:
        resources = await discover(admin)
    asked = [
        *attempts([r for r in resources if r.namespaced], HERE, THINGS),
        *attempts([r for r in resources if not r.namespaced], (), THINGS),
    ]

    found = await reached(running, AGENT, asked)
    # RBAC takes nothing away: what any account may, the agent's may as well.
    anybody = await reached(running, ANYBODY, [one for one in asked if one.key in found])

    assert found == expected(asked, anybody)
    assert not {resource for _, resource, _, _ in anybody if resource.startswith("core/")}
    assert len(asked) > 5000


def test_the_agent_reads_the_logs_of_its_runs_only(running: Charted):
    assert running.may(AGENT, "get", "pods/log", RUN)
    for place in ("", ELSEWHERE, SYSTEM, CANARY):
        assert not running.may(AGENT, "get", "pods/log", place)
        assert not running.may(AGENT, "get", "pods", place)


RESOLVER = f"system:serviceaccount:{SYSTEM}:hansa-resolver"


def test_the_resolver_sees_names_and_no_more(member: Charted):
    for resource in ("services", "namespaces", "endpointslices.discovery.k8s.io"):
        assert member.may(RESOLVER, "watch", resource)
    for verb, resource in (("list", "pods"), ("list", "secrets"), ("create", "services")):
        assert not member.may(RESOLVER, verb, resource)


def test_the_exporter_lists_pods_and_no_more(member: Charted):
    assert member.may(EXPORTER, "list", "pods")
    for verb, resource in (("get", "pods"), ("list", "secrets"), ("list", "nodes")):
        assert not member.may(EXPORTER, verb, resource)


def test_an_upgrade_keeps_the_law(running: Charted):
    running.upgrade(replicas=0)

    law = json.loads(running.kubectl("get", "memberpolicy", "local", "-o", "json"))
    assert law["metadata"]["generation"] >= 1
    assert yaml.safe_dump(law["spec"]["jurisdiction"]).startswith("EE")
