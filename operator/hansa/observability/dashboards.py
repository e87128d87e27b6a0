"""One Grafana dashboard a chart, as data: titles and queries here, geometry computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hansa.observability.alerts import GPUS_MISSING
from hansa.observability.metrics import Process

WIDTH, HEIGHT, COLUMNS = 12, 8, 2
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph."""

    title: str
    expr: str
    legend: str
    unit: str = "short"
    """Grafana's name of the unit."""


def _quantile(metric: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile(0.99, sum by ({labels}) (rate({metric}_bucket[5m])))"


def _or_zero(expr: str) -> str:
    """Return ``expr``, or 0 while nothing has been counted: an empty panel looks like a broken one."""
    return f"{expr} or on () vector(0)"


DESCRIPTIONS: dict[Process, str] = {
    "hub": "The league as its hub sees it: what waits and why, what is held of what is lent, whether the hub"
    " plans and hears. Ratios of GPUs are of those lent to the league.",
    "member": "One member: its grants, its GPUs as its own exporters read them, and whether it hears the hub.",
}
PANELS: dict[Process, tuple[Panel, ...]] = {
    "hub": (
        Panel("Receipts behind", "max(hansa_ledger_waiting_receipts)", "behind"),
        Panel("Differences, unexplained", "max(hansa_ledger_differences)", "differences"),
        Panel(
            "Charged and not due yet",
            "max by (currency) (hansa_ledger_pending_amount)",
            "{{currency}}",
        ),
        Panel("Held back", "max by (currency) (hansa_ledger_holdback_amount)", "{{currency}}"),
        Panel("Audits due", _or_zero("max(hansa_due_audits)"), "due"),
        Panel(
            "Audits decided",
            _or_zero("max by (verdict) (hansa_decided_audits)"),
            "{{verdict}}",
        ),
        Panel(
            "Capacity probes",
            _or_zero("max by (outcome) (hansa_decided_probes)"),
            "{{outcome}}",
        ),
        Panel(
            "Budgets spent",
            "max by (project) (hansa_project_budget_ratio)",
            "{{project}}",
            "percentunit",
        ),
        Panel("Jobs by reason", _or_zero("sum by (reason) (hansa_jobs)"), "{{reason}}"),
        Panel(
            "GPUs held, of those lent",
            _or_zero(
                "sum by (institution) (hansa_gpus_allocated) / sum by (institution) (hansa_gpus)"
            ),
            "{{institution}}",
            "percentunit",
        ),
        Panel(
            "Queue wait, p99", _quantile("hansa_job_queue_wait_seconds", "pool"), "{{pool}}", "s"
        ),
        Panel(
            "Start latency, p99",
            _quantile("hansa_job_start_latency_seconds", "pool"),
            "{{pool}}",
            "s",
        ),
        Panel(
            "GPUs busy, of those held",
            "sum by (institution) (hansa_gpus_busy) / sum by (institution) (hansa_gpus_allocated)",
            "{{institution}}",
            "percentunit",
        ),
        Panel(
            "Share of the league's GPUs",
            "sum by (jurisdiction) (hansa_gpus) / scalar(sum(hansa_gpus))",
            "{{jurisdiction}}",
            "percentunit",
        ),
        Panel("Lease age", "max by (node) (hansa_node_lease_age_seconds)", "{{node}}", "s"),
        Panel(
            "Refusals a minute",
            _or_zero("sum by (node, reason) (rate(hansa_grant_refusals_total[5m])) * 60"),
            "{{node}} {{reason}}",
        ),
        Panel("Plan, p99", _quantile("hansa_plan_duration_seconds"), "plan", "s"),
        Panel("Optimality gap, at most", "max(hansa_plan_gap_ratio)", "gap", "percentunit"),
        Panel("Shadow prices, age", "max(hansa_shadow_prices_age_seconds)", "age", "s"),
        Panel(
            "API writes a second",
            _or_zero("sum by (resource, outcome) (rate(hansa_api_writes_total[5m]))"),
            "{{resource}} {{outcome}}",
        ),
        Panel(
            "Watch silence",
            "max by (resource) (hansa_watch_event_age_seconds)",
            "{{resource}}",
            "s",
        ),
    ),
    "member": (
        Panel("Grants by state", _or_zero("sum by (state) (hansa_member_jobs)"), "{{state}}"),
        Panel(
            "GPUs held",
            _or_zero("sum by (gpu_class) (hansa_member_gpus_held)"),
            "{{gpu_class}}",
        ),
        Panel("GPU busy", "hansa_gpu_busy_ratio", "{{instance}} {{gpu}}", "percentunit"),
        Panel(
            "GPU busy by job",
            "avg by (aijob, institution) (hansa_gpu_busy_ratio * on (instance, gpu)"
            " group_left (aijob, institution) max by (instance, gpu, aijob, institution) (hansa_gpu_job_info))",
            "{{institution}} {{aijob}}",
            "percentunit",
        ),
        Panel(
            "GPU memory used",
            "hansa_gpu_memory_used_bytes / hansa_gpu_memory_size_bytes",
            "{{instance}} {{gpu}}",
            "percentunit",
        ),
        Panel("Power", "sum by (instance) (hansa_gpu_power_watts)", "{{instance}}", "watt"),
        Panel(
            "Temperature",
            "max by (instance) (hansa_gpu_temperature_celsius)",
            "{{instance}}",
            "celsius",
        ),
        Panel(
            "Errors of GPUs",
            "sum by (instance, cause) (increase(hansa_gpu_xid_errors_total[1h]))"
            ' or max by (instance, severity) (hansa_gpu_ecc_errors_total{severity="uncorrected"})',
            "{{instance}} {{cause}}{{severity}}",
        ),
        Panel(
            "GPUs missing",
            GPUS_MISSING,
            "{{machine}}",
        ),
        Panel(
            "Refusals a minute",
            _or_zero("sum by (reason) (rate(hansa_member_refusals_total[5m])) * 60"),
            "{{reason}}",
        ),
        Panel(
            "Grant to RayJob, p99", _quantile("hansa_member_grant_to_workload_seconds"), "p99", "s"
        ),
        Panel("Hub silence", "hansa_member_hub_contact_age_seconds", "{{instance}}", "s"),
    ),
}


def dashboard(process: Process) -> dict[str, Any]:
    """Return the dashboard of one chart, importable as it is."""
    return {
        "uid": f"hansa-{process}",
        "title": f"Hansa {process}",
        "description": DESCRIPTIONS[process],
        "tags": ["hansa"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]
        },
        "panels": _panels(PANELS[process]),
    }


def _panels(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    return [_panel(number, panel) for number, panel in enumerate(panels)]


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [{"refId": "A", "expr": panel.expr, "legendFormat": panel.legend}],
    }
