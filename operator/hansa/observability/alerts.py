"""The alert rules as data. Each has a runbook of its name in ``docs/runbooks``; a test keeps them 1:1.

An alert is here only when somebody has to act. Everything else is a panel (``dashboards.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hansa.observability.metrics import Process

RUNBOOKS = "https://hansa.dev/docs/runbooks"

_HEAT = "max by (instance, gpu) (hansa_gpu_temperature_celsius)"
_SEEN = "max by (machine) (hansa_machine_gpus_seen)"
GPUS_MISSING = (
    "max by (machine) (max_over_time(hansa_member_machine_gpus[1w])"
    " or max_over_time(hansa_machine_gpus_seen[1w]))"
    f" - on (machine) {_SEEN}"
)
"""GPUs that a machine should have, less those that it shows. A Node announces fewer once its cards, or the driver,
are gone: so the most of a week is what it should have."""
_BLIND = (
    "(max by (machine) (max_over_time(hansa_machine_gpus_seen[1w])) == 0"
    " and on (machine) hansa_member_machine_gpus_offered > 0)"
)
"""Machines whose exporter has never seen a card that pods are given all the same: the driver is not shown to it."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule, for the chart of one process."""

    name: str
    process: Process
    expr: str
    hold: str
    """How long it must be true before anybody is told."""
    severity: str
    summary: str
    description: str

    def rule(self) -> dict[str, Any]:
        """Return the rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.hold,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{RUNBOOKS}/{self.name}.md",
            },
        }


ALERTS = (
    Alert(
        "HansaLedgerBehind",
        "hub",
        "max(hansa_ledger_waiting_receipts) > 1000 or max(hansa_ledger_books_age_seconds) > 600",
        "15m",
        "warning",
        "The ledger does not keep up.",
        "Receipts wait, or the books cannot be read. Members keep their receipts meanwhile; nothing is"
        " lost, and nothing is billed.",
    ),
    Alert(
        "HansaLedgerDifferences",
        "hub",
        "max(hansa_ledger_differences) > 0",
        "1h",
        "warning",
        "Receipts were not posted, and nobody has explained why.",
        "{{ $value }} receipts disagree with the league's prices, clocks or records, and are paid to"
        " nobody until that is cleared up.",
    ),
    Alert(
        "HansaAuditFailed",
        "hub",
        'max(delta(hansa_decided_audits{verdict="Failed"}[1d])) > 0',
        "0m",
        "critical",
        "Two auditors refuted a run within the last day.",
        "A node told a result that two independent ones agree is wrong. It is at L0, what was held back"
        " of it is seized, and the owners of its unsettled runs are told.",
    ),
    Alert(
        "HansaProbeFailed",
        "hub",
        'max(delta(hansa_decided_probes{outcome="Failed"}[1d])) > 0',
        "0m",
        "critical",
        "A node answered a capacity probe with a wrong product within the last day.",
        "What it signed is not the product that it was asked for, so it does not compute right, or did"
        " not compute. It is at L0.",
    ),
    Alert(
        "HansaAuditsOverdue",
        "hub",
        "max(hansa_overdue_audits) > 0",
        "1h",
        "warning",
        "Audits have been due for more than a week.",
        "{{ $value }} runs were drawn, and nobody has run them again yet. Their nodes lose L3"
        " meanwhile.",
    ),
    Alert(
        "HansaAuditsInconclusive",
        "hub",
        'max(delta(hansa_decided_audits{verdict="Inconclusive"}[7d]))'
        " > 0.2 * max(sum without (verdict) (delta(hansa_decided_audits[7d])))",
        "1h",
        "warning",
        "More than a fifth of a week's audits ended without a verdict.",
        "{{ $value | humanize }} runs were drawn, nobody found out whether they are right, and they are paid. What"
        " cannot be repeated or audited is as good as not verified.",
    ),
    Alert(
        "HansaProjectBudget",
        "hub",
        "max by (project) (hansa_project_budget_ratio) >= 0.8",
        "5m",
        "info",
        "Project {{ $labels.project }} has spent most of its budget.",
        "{{ $value | humanizePercentage }} are spent. At 100 % nothing new of it starts; what runs goes"
        " on.",
    ),
    Alert(
        "HansaProjectOverBudget",
        "hub",
        "max by (project) (hansa_project_budget_ratio) >= 1",
        "5m",
        "warning",
        "Project {{ $labels.project }} has spent its budget.",
        "Nothing new of it starts, with the reason ProjectOverBudget. What runs goes on and is charged.",
    ),
    Alert(
        "HansaHubNoLeader",
        "hub",
        "sum by (lease) (hansa_leader) == 0 or absent(hansa_leader)",
        "2m",
        "critical",
        "No hub replica leads by Lease {{ $labels.lease }}.",
        "No replica holds it, so nothing new is placed in the pools that it stands for. Running work"
        " goes on.",
    ),
    Alert(
        "HansaNodeUnreachable",
        "hub",
        "max by (node) (hansa_node_lease_age_seconds) > 120",
        "2m",
        "warning",
        "Node {{ $labels.node }} has not renewed its Lease.",
        "The member's agent was last heard {{ $value | humanizeDuration }} ago. The node takes no new"
        " work; running jobs go on under their disconnection contracts.",
    ),
    Alert(
        "HansaNodeDisputed",
        "hub",
        'max(hansa_objects{kind="SovereignNode",condition="JurisdictionAgreed",status="False"}) > 0',
        "10m",
        "warning",
        "League and member state different jurisdictions.",
        "{{ $value }} nodes take no work because the two statements of jurisdiction or legal control"
        " differ.",
    ),
    Alert(
        "HansaJobsUndecided",
        "hub",
        'max by (pool) (hansa_jobs{reason="Pending"}) > 0',
        "10m",
        "critical",
        "Jobs in pool {{ $labels.pool }} get no decision.",
        "{{ $value }} jobs have neither a grant nor a reason to wait: the hub does not plan.",
    ),
    Alert(
        "HansaGrantsRefused",
        "hub",
        "sum by (node, reason) (max by (instance, node, reason) (increase(hansa_grant_refusals_total[1h]))) > 20",
        "5m",
        "warning",
        "Node {{ $labels.node }} refuses much work ({{ $labels.reason }}).",
        "{{ $value | humanize }} grants were refused in an hour: what the hub knows of the member's"
        " policy is not what the member enforces.",
    ),
    Alert(
        "HansaWatchDeaf",
        "hub",
        "max by (instance, resource) (hansa_watch_event_age_seconds) > 300",
        "2m",
        "warning",
        "The watch of {{ $labels.resource }} delivers nothing.",
        "Not even a bookmark came for {{ $value | humanizeDuration }}; bookmarks come every minute.",
    ),
    Alert(
        "HansaHubClockSkewed",
        "hub",
        "max by (instance) (abs(hansa_hub_clock_skew_seconds)) > 30",
        "2m",
        "critical",
        "The clocks of hub replica {{ $labels.instance }} and of its API server differ.",
        "By {{ $value | humanizeDuration }}; beyond grants.clockSkewSeconds the replica does not lead.",
    ),
    Alert(
        "HansaHubSilent",
        "member",
        "max by (instance) (hansa_member_hub_contact_age_seconds) > 600",
        "5m",
        "warning",
        "The hub has not answered this member.",
        "Last answer {{ $value | humanizeDuration }} ago. Running jobs go on until their"
        " maxUnattendedSeconds.",
    ),
    Alert(
        "HansaGuardSilent",
        "member",
        "(min(hansa_guard_pass_age_seconds) or vector(1e9)) > 60",
        "2m",
        "critical",
        "The guard does not see what it guards.",
        "No replica of the guard has seen all runs and the policy for {{ $value | humanizeDuration }}:"
        " Stopped stops only what the agent stops, and the pods of running jobs end when their"
        " contracts do.",
    ),
    Alert(
        "HansaTokenExpiring",
        "member",
        "min by (instance) (hansa_member_token_remaining_seconds) < 3 * 86400",
        "1h",
        "warning",
        "The node's token for the hub was not renewed.",
        "It ends in {{ $value | humanizeDuration }}; after that the hub does not know this node.",
    ),
    Alert(
        "HansaClockSkewed",
        "member",
        "max by (instance) (abs(hansa_member_clock_skew_seconds)) > 30",
        "5m",
        "warning",
        "This member's clock and the hub's differ.",
        "By {{ $value | humanizeDuration }}; beyond the limit every grant is refused.",
    ),
    Alert(
        "HansaMemberUnfit",
        "member",
        "min by (instance, condition)"
        ' (hansa_member_condition{condition=~"Enforcing|KubeRayReady|SecondLockHolds|ReceiptsTaken"}) == 0',
        "5m",
        "critical",
        "The member's {{ $labels.condition }} is not True.",
        "The member takes no work until it is: kubectl get memberpolicy local -o yaml says why.",
    ),
    Alert(
        "HansaRunNotRemoved",
        "member",
        'min by (instance) (hansa_member_condition{condition="RunsRemoved"}) == 0',
        "5m",
        "warning",
        "A run's namespace hangs in its deletion.",
        "Its GPUs stay held and its job goes nowhere else: kubectl get memberpolicy local -o yaml"
        " names it and what holds it.",
    ),
    Alert(
        "HansaGpuUnread",
        "member",
        'min by (instance, reason) (min_over_time(hansa_gpu_probe_up{reason!~"|NoGpu|NoDriver|Starting"}[5m])) == 0',
        "10m",
        "warning",
        "The GPUs of {{ $labels.instance }} cannot be read.",
        "The driver answers {{ $labels.reason }}; what they do is not known, or not of all, and jobs may be affected.",
    ),
    Alert(
        "HansaGpuMissing",
        "member",
        f"{GPUS_MISSING} > 0 and on (machine) hansa_member_machine_gpus unless on (machine) {_BLIND}",
        "10m",
        "critical",
        "Machine {{ $labels.machine }} shows fewer GPUs than it should have.",
        "{{ $value }} are missing of those that its Node announced or its driver showed within a week:"
        " a card fell off the bus, or the driver is gone.",
    ),
    Alert(
        "HansaExporterGone",
        "member",
        "max by (machine) (max_over_time(hansa_member_machine_gpus[1w])) > 0"
        " and on (machine) hansa_member_machine_gpus"
        f" unless on (machine) (hansa_machine_gpus_seen unless on (machine) {_BLIND})"
        " and on () (count(max_over_time(hansa_machine_gpus_seen[1w])) > 0)",
        "15m",
        "warning",
        "Nobody reads the GPUs of machine {{ $labels.machine }}.",
        "Its Node announced {{ $value }} GPUs within a week, and no exporter tells of them, or the one there has never"
        " seen a driver: what they do, and whether they are well, is unknown.",
    ),
    Alert(
        "HansaGpuMemoryErrors",
        "member",
        'max by (instance, gpu) (hansa_gpu_ecc_errors_total{severity="uncorrected"}) > 0',
        "1m",
        "critical",
        "GPU {{ $labels.gpu }} has memory errors that could not be corrected.",
        "{{ $value }} since the driver was loaded: results computed on it may be wrong.",
    ),
    Alert(
        "HansaGpuXid",
        "member",
        'max by (instance, gpu) (increase(hansa_gpu_xid_errors_total{cause="hardware"}[15m])) > 0',
        "0m",
        "warning",
        "The driver reports an error of GPU {{ $labels.gpu }} itself.",
        'An XID error that no program causes; hansa_gpu_last_xid_info{cause="hardware"} names it.',
    ),
    Alert(
        "HansaGpuHot",
        "member",
        f"({_HEAT} >= on (instance, gpu) (max by (instance, gpu) (hansa_gpu_slowdown_celsius) - 2))"
        f" or ({_HEAT} >= 90 unless on (instance, gpu) hansa_gpu_slowdown_celsius)",
        "5m",
        "warning",
        "GPU {{ $labels.gpu }} is too hot.",
        "{{ $value }} °C: it slows itself down, or is about to.",
    ),
    Alert(
        "HansaGpuHeldIdle",
        "member",
        'max by (instance, gpu, aijob, institution) (hansa_gpu_job_info{aijob!~"none|unknown"})'
        " and on (instance, gpu) hansa_gpu_busy_ratio < 0.01",
        "1h",
        "info",
        "Job {{ $labels.aijob }} of {{ $labels.institution }} holds GPU {{ $labels.gpu }} and does not use it.",
        "No kernel was resident for an hour: the job waits for something, or asked for too much.",
    ),
)


def rule_groups(process: Process) -> dict[str, Any]:
    """Return the rule file of one chart (the ``spec`` of a PrometheusRule has the same shape)."""
    rules = [alert.rule() for alert in ALERTS if alert.process == process]
    return {"groups": [{"name": f"hansa-{process}", "rules": rules}]}
