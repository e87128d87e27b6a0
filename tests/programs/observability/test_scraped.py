"""Every alert and panel over pages that a real Prometheus scrapes, with the labels that its operator sets.

The pages are made by the processes' own collectors, the labels from the chart's own monitors: a label of
ours that the operator's replaces, or a process that no monitor selects, shows here and in no other test.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.testbed.addons.prometheus import Prometheus
from e2e.testbed.host.clock import wait_until
from hansa.observability.alerts import ALERTS, rule_groups
from hansa.observability.dashboards import PANELS
from hansa.observability.metrics import exported_by
from tests.programs.conftest import Render
from tests.programs.observability.scraped_pages import EMPTY, FIRING, QUIET, page

NAMESPACE = "hansa-system"
CHART = {
    "hub": "hansa-hub",
    "ledger": "hansa-hub",
    "member": "hansa-member",
    "guard": "hansa-member",
    "exporter": "hansa-member",
}
MONITORING = {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
WAITS = frozenset({"Queue wait, p99", "Start latency, p99", "Plan, p99", "Grant to RayJob, p99"})
"""Panels of times: while nothing was measured a zero would be a claim."""
EMPTY_AT_FIRST = WAITS | {
    *(
        "GPUs busy, of those held",
        "Share of the league's GPUs",
        "Lease age",
        "Optimality gap, at most",
    ),
    *("Shadow prices, age", "Watch silence", "Hub silence"),
    *("GPU busy", "GPU busy by job", "GPU memory used", "Power", "Temperature"),
    *("Errors of GPUs", "GPUs missing"),
    *("Budgets spent", "Differences, unexplained", "Charged and not due yet", "Held back"),
}
"""Panels of things that are not there yet: nothing is counted in them."""


class Served:
    """The processes' pages on loopback; each has an address of its own."""

    def __init__(self) -> None:
        self.pages: Mapping[str, bytes] = {}
        self.servers = {process: self._serve(process) for process in CHART}

    def show(self, state: Mapping[str, Any], revision: int) -> None:
        """Serve a state from now on; ``test_revision`` tells when it was scraped."""
        mark = f"# TYPE test_revision gauge\ntest_revision {revision}\n".encode()
        self.pages = {process: page(process, state) + mark for process in CHART}

    def address(self, process: str) -> str:
        host, port = self.servers[process].server_address[:2]
        return f"{host!s}:{port}"

    def close(self) -> None:
        for server in self.servers.values():
            server.shutdown()
            server.server_close()

    def _serve(self, process: str) -> ThreadingHTTPServer:
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the library's name
                body = served.pages[process]
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


def operators_labels(render: Render, process: str) -> dict[str, str]:
    """Return the target labels that Prometheus' operator makes of the chart's monitor of a process."""
    documents = monitored(render, process)
    pod, workload = pod_of(documents, process)
    (monitor,) = monitors_of(render, process)
    ports = monitor["spec"].get("endpoints") or monitor["spec"]["podMetricsEndpoints"]
    labels = {"namespace": NAMESPACE, "pod": f"{workload}-0", "endpoint": ports[0]["port"]}
    labels["container"] = pod["spec"]["containers"][0]["name"]
    if monitor["kind"] == "PodMonitor":
        return labels | {"job": f"{NAMESPACE}/{monitor['metadata']['name']}"}
    return labels | {"job": workload, "service": workload}


def monitored(render: Render, process: str) -> list[dict[str, Any]]:
    monitoring = MONITORING | (
        {"podMonitor": {"enabled": True}} if CHART[process] != "hansa-hub" else {}
    )
    node = {} if CHART[process] == "hansa-hub" else {"node": "tartu"}
    return render(CHART[process], monitoring=monitoring, **node)


def monitors_of(render: Render, process: str) -> list[dict[str, Any]]:
    documents = monitored(render, process)
    pod, _ = pod_of(documents, process)
    return [one for one in documents if selects(one, documents, pod)]


def pod_of(documents: list[dict[str, Any]], process: str) -> tuple[dict[str, Any], str]:
    for one in documents:
        if one["kind"] in {"Deployment", "DaemonSet"}:
            template = one["spec"]["template"]
            if template["spec"]["containers"][0].get("command") == ["hansa", process]:
                return template, one["metadata"]["name"]
    raise AssertionError(process)


def selects(one: dict[str, Any], documents: list[dict[str, Any]], pod: dict[str, Any]) -> bool:
    """Whether a monitor finds a pod, by the pod's own labels or through its Service."""
    if one["kind"] == "PodMonitor":
        return one["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    if one["kind"] != "ServiceMonitor":
        return False
    wanted = one["spec"]["selector"]["matchLabels"].items()
    return any(
        wanted <= (each["metadata"].get("labels") or {}).items()
        and (each["spec"].get("selector") or {"": ""}).items() <= pod["metadata"]["labels"].items()
        for each in documents
        if each["kind"] == "Service"
    )


@pytest.fixture(scope="module")
def states(
    render: Render, promtool: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, list[Any]]]:
    """State → expression → what Prometheus answers, in the order in which a league lives."""
    del promtool
    folder, served = tmp_path_factory.mktemp("scraped"), Served()
    asked = {alert.name: alert.expr for alert in ALERTS}
    asked |= {panel.title: panel.expr for rows in PANELS.values() for panel in rows}
    rules = folder / "rules.yaml"
    rules.write_text(
        yaml.safe_dump(
            {"groups": [*rule_groups("hub")["groups"], *rule_groups("member")["groups"]]}
        )
    )
    served.show(EMPTY, 0)
    found: dict[str, dict[str, list[Any]]] = {}
    with Prometheus(folder / "prometheus", (), rules=[rules], every_s=1) as prometheus:
        targets = [
            {"targets": [served.address(process)], "labels": operators_labels(render, process)}
            for process in CHART
        ]
        put(folder / "prometheus" / "targets.json", targets)
        for revision, (name, state) in enumerate(
            {"empty": EMPTY, "quiet": QUIET, "firing": FIRING}.items()
        ):
            served.show(state, revision)
            scraped = (
                f"count(test_revision == {revision} and test_revision offset 1s == {revision})"
            )
            wait_until(lambda: are_all(prometheus.query(scraped)), what=f"all pages of {name}")  # noqa: B023  # asked at once
            found[name] = {what: prometheus.query(expr) for what, expr in asked.items()}
    served.close()
    return found


def put(path: Path, targets: list[dict[str, Any]]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(targets))
    partial.rename(path)


def are_all(answer: list[dict[str, Any]]) -> bool:
    return bool(answer) and answer[0]["value"][1] == str(len(CHART))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_is_true_when_it_should_be_and_only_then(states, alert):
    assert states["quiet"][alert.name] == []
    assert states["firing"][alert.name]


PANEL_TITLES = sorted({panel.title for rows in PANELS.values() for panel in rows})


@pytest.mark.parametrize("title", PANEL_TITLES)
def test_a_panel_shows_something(states, title):
    assert states["firing"][title]


@pytest.mark.parametrize("title", sorted({*PANEL_TITLES} - EMPTY_AT_FIRST))
def test_a_panel_that_counts_shows_a_zero_before_there_is_anything(states, title):
    assert states["empty"][title]


def test_a_gpus_job_is_ours_and_not_the_scrapers(states):
    (alert,) = states["firing"]["HansaGpuHeldIdle"]
    assert alert["metric"]["gpu"] == "GPU-1"
    shown = {row["metric"]["aijob"] for row in states["firing"]["GPU busy by job"]}
    assert shown == {"uid-1", "none"}


@pytest.mark.parametrize("process", CHART)
def test_labels_of_the_site_rename_none_of_ours(render: Render, process: str):
    """Many sites give every target the label node: a hub's alert would name the wrong one."""
    (monitor,) = monitors_of(render, process)
    ports = monitor["spec"].get("endpoints") or monitor["spec"]["podMetricsEndpoints"]
    assert [port["honorLabels"] for port in ports] == [True]


@pytest.mark.parametrize("process", CHART)
def test_what_the_operator_sets_is_none_of_ours(render: Render, process: str):
    """With honorLabels ours would win over them, and sites tell targets apart by them."""
    ours = {label for metric in exported_by(process) for label in metric.labels}
    assert not ours & {*operators_labels(render, process), "instance"}


@pytest.mark.parametrize("chart", ["hansa-hub", "hansa-member"])
def test_alerts_link_to_where_the_runbooks_are(render: Render, chart: str):
    wiki = "https://wiki.example.org/runbooks"
    rule = {"enabled": True, "runbooks": wiki}
    node = {} if chart == "hansa-hub" else {"node": "tartu"}
    documents = render(chart, monitoring={"prometheusRule": rule}, **node)
    (made,) = [one for one in documents if one["kind"] == "PrometheusRule"]
    rules = [rule for group in made["spec"]["groups"] for rule in group["rules"]]
    assert rules
    assert all(rule["annotations"]["runbook_url"] == f"{wiki}/{rule['alert']}.md" for rule in rules)
