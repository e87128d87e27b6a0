"""A real Prometheus on the host that scrapes the sites' pods, as an SRE's would."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from e2e.testbed.cluster.cluster import Cluster
from e2e.testbed.host import processes
from e2e.testbed.host.clock import wait_until
from e2e.testbed.host.packages import system_program
from e2e.testbed.host.ports import free_ports
from e2e.testbed.host.processes import MARKER

PORT_NAMES = ("http", "metrics")
"""Hansa's charts and KubeRay serve ``/metrics`` on ``http``, CoreDNS on ``metrics``."""


class PrometheusError(RuntimeError):
    """Its configuration or a query is wrong."""


class Prometheus:
    """Scrapes the metrics ports of all pods of the given clusters; label ``cluster`` names them."""

    def __init__(
        self,
        folder: Path,
        clusters: Sequence[Cluster],
        *,
        rules: Sequence[Path] = (),
        every_s: int = 2,
        marker: str = "",
        die_with_parent: bool = True,
    ) -> None:
        self.folder = folder
        self._clusters = clusters
        self._targets = folder / "targets.json"
        self._config = config(self._targets, rules, every_s=every_s)
        self._env = {MARKER: marker} if marker else {}
        self._die_with_parent = die_with_parent

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.process.stop()

    def start(self) -> None:
        """Check the configuration, start, and return when it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(self._config))
        self.refresh()
        _check(file)
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        argv = [
            system_program("prometheus"),
            f"--config.file={file}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self.process = processes.start(
            "prometheus",
            argv,
            log=self.folder / "prometheus.log",
            env=self._env,
            die_with_parent=self._die_with_parent,
        )
        wait_until(self._ready, what="Prometheus")

    def refresh(self) -> None:
        """Look for pods again: call it after pods have come or gone."""
        groups = [
            group
            for cluster in self._clusters
            for group in targets_of(cluster.name, cluster.get("pods", "-A")["items"])
        ]
        partial = self._targets.with_suffix(".partial")
        partial.write_text(json.dumps(groups))
        partial.rename(self._targets)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the instant vector of a PromQL expression."""
        answer = self._get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def targets(self) -> list[dict[str, Any]]:
        """Return the active targets with their health."""
        found: list[dict[str, Any]] = self._get("/api/v1/targets")["data"]["activeTargets"]
        return found

    def _ready(self) -> bool:
        processes.check_alive([self.process], self.folder)
        try:
            self._fetch("/-/ready")
        except OSError:
            return False
        return True

    def _get(self, path: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(self._fetch(path))
        except urllib.error.HTTPError as error:
            raise PrometheusError(error.read().decode()) from error
        return answer

    def _fetch(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310  # our own address
            body: bytes = answer.read()
            return body


def config(target_file: Path, rules: Sequence[Path] = (), *, every_s: int = 2) -> dict[str, Any]:
    """Return a configuration whose targets stand in a file that Prometheus watches.

    Debian builds Prometheus without Kubernetes service discovery.
    """
    job = {"job_name": "pods", "file_sd_configs": [{"files": [str(target_file)]}]}
    return {
        "global": dict.fromkeys(
            ("scrape_interval", "scrape_timeout", "evaluation_interval"), f"{every_s}s"
        ),
        "rule_files": [str(rule) for rule in rules],
        "scrape_configs": [job],
    }


def targets_of(cluster: str, pods: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a target group for every port named as in ``PORT_NAMES`` of pods that run and stay."""
    return [
        {
            "targets": [f"{pod['status']['podIP']}:{port['containerPort']}"],
            "labels": {
                "cluster": cluster,
                "namespace": pod["metadata"]["namespace"],
                "pod": pod["metadata"]["name"],
            },
        }
        for pod in pods
        if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        for container in pod["spec"]["containers"]
        for port in container.get("ports", ())
        if port.get("name") in PORT_NAMES
    ]


def _check(file: Path) -> None:
    argv = [system_program("promtool"), "check", "config", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PrometheusError(done.stdout + done.stderr)
