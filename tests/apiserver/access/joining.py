"""The join service account, with what the hub's chart gives to those who join."""

from __future__ import annotations

from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig, with_token
from hansa.adapters.kube.tokens import request_token
from tests.apiserver.hub.league import CLOCK, League

RBAC = "rbac.authorization.k8s.io"


async def join_identity(league: League) -> KubeCluster:
    """Return the server as the join service account sees it: it may read nodes by name."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "hansa-join"}}
    where = "/api/v1/namespaces/default/serviceaccounts/hansa-join"
    await league.admin.apply(where, account, manager="test")
    meta = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": "hansa-join"}}
    rule = {"apiGroups": ["hansa.dev"], "resources": ["sovereignnodes"], "verbs": ["get"]}
    await league.admin.apply(
        f"/apis/{RBAC}/v1/clusterroles/hansa-join",
        meta | {"kind": "ClusterRole", "rules": [rule]},
        manager="test",
    )
    binding = {
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "hansa-join"},
        "subjects": [{"kind": "ServiceAccount", "name": "hansa-join", "namespace": "default"}],
    }
    await league.admin.apply(
        f"/apis/{RBAC}/v1/clusterrolebindings/hansa-join", meta | binding, manager="test"
    )
    token, _ = await request_token(league.admin, "default", "hansa-join", seconds=3600)
    return KubeCluster(with_token(from_kubeconfig(league.plane.kubeconfig), token), clock=CLOCK)
