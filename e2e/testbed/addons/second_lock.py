"""The member chart's second lock where the chart as a whole is not installed: policies and canaries.

An agent takes no work without it, so every testbed whose agents run beside the cluster has it too.
"""

from __future__ import annotations

import json
from pathlib import Path

from e2e.testbed.addons import helm
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.build.families import KUBERNETES
from e2e.testbed.cluster.controlplane import ControlPlane, KubectlError
from e2e.testbed.host.clock import ASKED_S, wait_until

CHART = Path(__file__).resolve().parents[3] / "helm" / "hansa-member"
SYSTEM = "hansa-system"
AGENT = f"system:serviceaccount:{SYSTEM}:hansa-member"
KUBERAY = "system:serviceaccount:kuberay-system:kuberay-operator"
MASTERS = ["system:masters"]
"""Rights by RBAC are not what these testbeds are about; the lock goes by the name."""
_INGRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "canary", "namespace": "hansa-canary"},
    "spec": {"defaultBackend": {"service": {"name": "canary", "port": {"number": 80}}}},
}


def install(site: ControlPlane, binaries: Binaries, *data_paths: Path) -> None:
    """Install the lock and return when it is in force; MemberPolicy's kind must be served.

    ``data_paths``: folders of machines below which data sets lie.
    """
    binaries.ensure("helm")
    templates = [*sorted(CHART.glob("templates/lock/*.yaml")), CHART / "templates/canary.yaml"]
    chosen = [arg for path in templates for arg in ("-s", str(path.relative_to(CHART)))]
    argv = [
        "template",
        "hansa-member",
        str(CHART),
        "-n",
        SYSTEM,
        "--kube-version",
        KUBERNETES.version,
    ]
    paths = [str(path) for path in data_paths]
    values = json.dumps({"node": "testbed", "admission": {"dataPaths": paths}})
    site.kubectl(
        *("apply", "--server-side", "--force-conflicts", "-f", "-"),
        stdin=helm.run(binaries, site.kubeconfig, [*argv, *chosen, "--values", "-"], stdin=values),
    )
    wait_until(lambda: _refuses(site), what="the second lock to be in force", poll_s=ASKED_S)


def _refuses(site: ControlPlane) -> bool:
    try:
        asked = ("create", "--dry-run=server", "-f", "-")
        site.kubectl("--as", AGENT, "--as-group", *MASTERS, *asked, stdin=json.dumps(_INGRESS))
    except KubectlError as refused:
        return "[accounts]" in str(refused)
    return False
