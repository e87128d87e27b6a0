"""The resolver of runs that are shut in: CoreDNS itself, with the chart's Corefile, asked over the wire."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.charts import KUBERNETES, documents
from e2e.testbed.addons import helm
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.host import processes
from e2e.testbed.host.clock import wait_until
from e2e.testbed.host.ports import free_ports
from tests.apiserver.charts.charted import ROOT

pytestmark = pytest.mark.apiserver

RUN, OTHER = "aij-resolver-e1", "resolver-other"
A, TXT, ANY = 1, 16, 255
NO_ERROR, NO_SUCH_NAME, REFUSED = 0, 3, 5
Ask = Callable[[str, int], tuple[int, list[str]]]
"""Name and type → response code and addresses."""


@pytest.fixture(scope="module")
def corefile(binaries: Binaries, control_plane: ControlPlane) -> str:
    binaries.ensure("helm")
    chart = str(ROOT / "helm" / "hansa-member")
    args = ["template", "hansa-member", chart, "--set=node=tartu", f"--kube-version={KUBERNETES}"]
    text = helm.run(binaries, control_plane.kubeconfig, args)
    maps = [d for d in documents(text) if d["kind"] == "ConfigMap"]
    return next(d["data"]["Corefile"] for d in maps if d["metadata"]["name"] == "hansa-resolver")


def _service(namespace: str) -> dict:
    spec = {"ports": [{"port": 6379}]}
    metadata = {"name": "head", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


@pytest.fixture(scope="module")
def ask(
    binaries: Binaries, control_plane: ControlPlane, corefile: str, tmp_path_factory
) -> Iterator[Ask]:
    binaries.ensure("coredns")
    for name, labels in ((RUN, {"hansa.dev/job-uid": "x"}), (OTHER, {})):
        metadata = {"name": name, "labels": labels}
        control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        control_plane.apply(_service(name))
    folder: Path = tmp_path_factory.mktemp("coredns")
    port, ready = free_ports(2)
    here = (
        corefile.replace(":53 {", f":{port} {{\n    bind 127.0.0.1")
        .replace("ready\n", f"ready 127.0.0.1:{ready}\n")
        .replace("ttl 5", f"ttl 5\n        kubeconfig {control_plane.kubeconfig}")
    )
    (folder / "Corefile").write_text(here)
    argv = [binaries["coredns"], "-conf", folder / "Corefile"]
    process = processes.start("coredns", argv, log=folder / "log", env={}, die_with_parent=True)

    def question(name: str, kind: int) -> tuple[int, list[str]]:
        return _asked(port, name, kind)

    try:
        wait_until(lambda: _answers(question), what="CoreDNS to know the run")
        yield question
    finally:
        process.stop()


def _answers(question: Ask) -> bool:
    try:
        return question(f"head.{RUN}.svc.cluster.local", A)[0] == NO_ERROR
    except OSError:
        return False


def _asked(port: int, name: str, kind: int) -> tuple[int, list[str]]:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(5)
        line.connect(("127.0.0.1", port))
        line.send(query)
        answer = line.recv(4096)
    flags, count = struct.unpack(">2xH2xH", answer[:8])
    # A is the only record that is read: the last four bytes of each, which CoreDNS does not pad.
    rows = [answer[-4:]] if count == 1 and kind == A else []
    return flags & 0xF, [socket.inet_ntoa(row) for row in rows]


def test_the_name_of_a_runs_head_is_answered(ask: Ask, control_plane: ControlPlane):
    where = ["-n", RUN, "get", "service", "head", "-o", "json"]
    address = json.loads(control_plane.kubectl(*where))["spec"]["clusterIP"]

    assert ask(f"head.{RUN}.svc.cluster.local", A) == (NO_ERROR, [address])


@pytest.mark.parametrize("kind", [A, TXT, ANY])
@pytest.mark.parametrize(
    "name", ["evil.example", "c2VjcmV0.evil.example", "example", "svc.cluster.local.evil.example"]
)
def test_a_name_outside_is_refused_and_asked_of_nobody(ask: Ask, name: str, kind: int):
    assert ask(name, kind) == (REFUSED, [])


@pytest.mark.parametrize(
    "name",
    [
        f"head.{OTHER}.svc.cluster.local",
        "kubernetes.default.svc.cluster.local",
        f"c2VjcmV0.{RUN}.svc.cluster.local",
    ],
)
def test_what_is_no_runs_has_no_name(ask: Ask, name: str):
    assert ask(name, A) == (NO_SUCH_NAME, [])


def test_the_corefile_has_one_zone_and_no_plugin_that_asks_others(corefile: str):
    words = {line.split()[0] for line in corefile.splitlines() if line.strip()}

    assert words == {
        *("cluster.local:53", "errors", "ready", "kubernetes", "namespace_labels", "ttl", "}")
    }
