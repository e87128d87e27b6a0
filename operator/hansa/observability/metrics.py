"""The one table of metrics: name, type, help, labels and the process that exports each.

Collectors, instruments, ``docs/reference/metrics.md`` and the tests over alert rules are made from
it. Labels are bounded: reasons are an enum, nodes and pools are few, and no job has a series of its
own except ``hansa_gpu_job_info``, which has one a GPU.
"""

from __future__ import annotations

from hansa.observability.rows.gpu import (
    GPU_BUSY,
    GPU_ECC,
    GPU_ENERGY,
    GPU_INFO,
    GPU_JOB,
    GPU_LAST_XID,
    GPU_MEMORY_TOTAL,
    GPU_MEMORY_USED,
    GPU_POWER,
    GPU_SLOWDOWN,
    GPU_TEMPERATURE,
    GPU_XIDS,
    GPUS_SEEN,
    MACHINE_REQUESTS,
    PROBE_UP,
)
from hansa.observability.rows.metric import PROCESSES, Metric, Process, Source

__all__ = [
    "GPUS_SEEN",
    "GPU_BUSY",
    "GPU_ECC",
    "GPU_ENERGY",
    "GPU_INFO",
    "GPU_JOB",
    "GPU_LAST_XID",
    "GPU_MEMORY_TOTAL",
    "GPU_MEMORY_USED",
    "GPU_POWER",
    "GPU_SLOWDOWN",
    "GPU_TEMPERATURE",
    "GPU_XIDS",
    "MACHINE_REQUESTS",
    "METRICS",
    "PROBE_UP",
    "Metric",
    "Process",
    "Source",
    "exported_by",
]

LATENCY_BUCKETS_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 15.0, 30.0, 60.0, 300.0)
WAIT_BUCKETS_S = (0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 14_400.0, 86_400.0)
SOLVE_BUCKETS_S = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
PLAN_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LAG_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_GPUS_BY = ("institution", "jurisdiction", "gpu_class")

BUILD_INFO = Metric(
    *("hansa_build_info", "gauge", "1, with the running version."),
    *(PROCESSES, ("version",)),
)
API_WRITES = Metric(
    "hansa_api_writes_total",
    "counter",
    "Writes sent to an API server, by verb, resource and outcome (ok, conflict, retryable, terminal).",
    ("hub",),
    ("verb", "resource", "outcome"),
    source="transition",
)
WATCH_EVENT_AGE = Metric(
    *("hansa_watch_event_age_seconds", "gauge"),
    "Seconds since a watch last delivered anything, bookmarks included.",
    *(("hub", "member"), ("resource",)),
)
EVENTS = Metric(
    *("hansa_events_total", "counter"),
    "Kubernetes events by what became of them (written, repeated, limited, failed).",
    *(("hub", "member"), ("outcome",)),
)
RECONCILE_ERRORS = Metric(
    "hansa_reconcile_errors_total",
    "counter",
    "Keys whose processing ended in an error, by kind and error.",
    ("hub",),
    ("kind", "error"),
    source="transition",
)

JOBS = Metric(
    *("hansa_jobs", "gauge", "AIJobs on the hub, by pool and the reason of their present state."),
    *(("hub",), ("pool", "reason")),
)
QUEUE_WAIT = Metric(
    "hansa_job_queue_wait_seconds",
    "histogram",
    "From apply (creation) to the first grant.",
    ("hub",),
    ("pool",),
    WAIT_BUCKETS_S,
    source="transition",
)
START_LATENCY = Metric(
    "hansa_job_start_latency_seconds",
    "histogram",
    "From apply (creation) to the first Ray worker running.",
    ("hub",),
    ("pool",),
    WAIT_BUCKETS_S,
    source="transition",
)
GPUS = Metric("hansa_gpus", "gauge", "GPUs lent to the league.", ("hub",), _GPUS_BY)
GPUS_ALLOCATED = Metric(
    "hansa_gpus_allocated", "gauge", "GPUs held by jobs, busy or not.", ("hub",), _GPUS_BY
)
GPUS_BUSY = Metric(
    "hansa_gpus_busy",
    "gauge",
    "GPUs on which a kernel was resident, as the member last reported; absent where it reports none.",
    ("hub",),
    _GPUS_BY,
)
REFUSALS = Metric(
    "hansa_grant_refusals_total",
    "counter",
    "Grants that members refused, by node and reason.",
    ("hub",),
    ("node", "reason"),
    source="transition",
)
GRANTS_WRITTEN = Metric(
    "hansa_grants_written_total",
    "counter",
    "Grants written.",
    *(("hub",), ("node",), (), "transition"),
)
NODE_LEASE_AGE = Metric(
    *("hansa_node_lease_age_seconds", "gauge"),
    "Seconds since the node last renewed its Lease, on the hub's clock.",
    *(("hub",), ("node",)),
)
OBJECTS = Metric(
    *("hansa_objects", "gauge", "Objects by kind, condition, its status and reason."),
    *(("hub",), ("kind", "condition", "status", "reason")),
)
HUB_CLOCK_SKEW = Metric(
    "hansa_hub_clock_skew_seconds",
    "gauge",
    "The API server's clock minus this replica's, as the last answer's Date header showed.",
    ("hub",),
)
LEADER = Metric(
    "hansa_leader",
    "gauge",
    "1 in the replica that leads by the Lease: the main hub's, or a pool's. The main hub has a 0 for each"
    " pool that another hub leads.",
    *(("hub",), ("lease",)),
)
PLAN_DURATION = Metric(
    "hansa_plan_duration_seconds",
    "histogram",
    "Time of one plan.",
    *(("hub",), (), PLAN_BUCKETS_S, "transition"),
)
PLAN_GAP = Metric(
    "hansa_plan_gap_ratio",
    "gauge",
    "Share of the optimum the last plan may be missing, certified by weak duality.",
    ("hub",),
)
PRICES = Metric(
    "hansa_shadow_prices_total",
    "counter",
    "Shadow prices solved for beside the planner, by what became of them (used, dropped, failed).",
    ("hub",),
    ("outcome",),
    source="transition",
)
PRICES_DURATION = Metric(
    "hansa_shadow_prices_duration_seconds",
    "histogram",
    "Time of one solve for shadow prices beside the planner.",
    *(("hub",), (), SOLVE_BUCKETS_S, "transition"),
)
PRICES_AGE = Metric(
    "hansa_shadow_prices_age_seconds",
    "gauge",
    "Seconds since the shadow prices in use last fitted the league; absent before the first, and where"
    " the league is so small that each plan finds its own.",
    ("hub",),
)
LOOP_LAG = Metric(
    "hansa_hub_loop_lag_seconds",
    "histogram",
    "How long what was ready waited for the event loop, looked at 40 times a second.",
    *(("hub",), (), LAG_BUCKETS_S, "transition"),
)
LOOP_WORK = Metric(
    "hansa_hub_loop_work_seconds",
    "histogram",
    "CPU time of the event loop's thread between two such looks: the hub's own share of the lag.",
    *(("hub",), (), LAG_BUCKETS_S, "transition"),
)
QUEUE_KEYS = Metric("hansa_queue_keys", "gauge", "Keys waiting to be processed.", ("hub", "member"))

MEMBER_JOBS = Metric(
    "hansa_member_jobs", "gauge", "Grants at this member, by state.", ("member",), ("state",)
)
MEMBER_GPUS = Metric(
    "hansa_member_gpus", "gauge", "GPUs this member lends.", ("member",), ("gpu_class",)
)
MEMBER_GPUS_HELD = Metric(
    *("hansa_member_gpus_held", "gauge", "GPUs held by jobs of the league."),
    *(("member",), ("gpu_class",)),
)
MACHINE_GPUS = Metric(
    *("hansa_member_machine_gpus", "gauge"),
    "GPUs, cut or whole, that a machine should have, as its Node says; 0 where it names none.",
    *(("member",), ("machine",)),
)
OFFERED_GPUS = Metric(
    *("hansa_member_machine_gpus_offered", "gauge"),
    "NVIDIA's GPUs, or slices of them, that a machine's Node offers to pods now.",
    *(("member",), ("machine",)),
)
MEMBER_REFUSALS = Metric(
    "hansa_member_refusals_total",
    "counter",
    "Grants refused, by reason.",
    *(("member",), ("reason",), (), "transition"),
)
MEMBER_STOPS = Metric(
    "hansa_member_stops_total",
    "counter",
    "Runs the member ended itself, by reason.",
    *(("member",), ("reason",), (), "transition"),
)
HUB_CONTACT_AGE = Metric(
    "hansa_member_hub_contact_age_seconds",
    "gauge",
    "Seconds since the hub last answered this member.",
    ("member",),
)
TOKEN_REMAINING = Metric(
    "hansa_member_token_remaining_seconds",
    "gauge",
    "Seconds until the node's token for the hub ends; negative once it has.",
    ("member",),
)
CLOCK_SKEW = Metric(
    "hansa_member_clock_skew_seconds",
    "gauge",
    "This member's clock minus the hub's, as the last answer's Date header showed.",
    ("member",),
)
SWITCH = Metric(
    *("hansa_member_switch", "gauge", "1 for the present state of the switch."),
    *(("member",), ("state",)),
)
MEMBER_CONDITION = Metric(
    *("hansa_member_condition", "gauge"),
    "1 where a condition of the MemberPolicy is True, else 0.",
    *(("member",), ("condition",)),
)
GRANT_TO_WORKLOAD = Metric(
    "hansa_member_grant_to_workload_seconds",
    "histogram",
    "From first seeing a grant to its RayJob existing.",
    *(("member",), (), LATENCY_BUCKETS_S, "transition"),
)

GUARD_PASS_AGE = Metric(
    "hansa_guard_pass_age_seconds",
    "gauge",
    "Seconds since the guard last saw all runs and the policy.",
    ("guard",),
)
GUARD_CONTACT_AGE = Metric(
    "hansa_guard_hub_contact_age_seconds",
    "gauge",
    "Seconds since the agent's last contact with the hub, as the guard counts them.",
    ("guard",),
)
GUARD_RUNS = Metric(
    "hansa_guard_jobs", "gauge", "Namespaces that carry the mark of a run.", ("guard",)
)
GUARD_STOPS = Metric(
    *("hansa_guard_stops_total", "counter"),
    "Deletions of runs' namespaces by the guard, by reason.",
    *(("guard",), ("reason",)),
)

LEDGER_BEHIND = Metric(
    *("hansa_ledger_waiting_receipts", "gauge"),
    *("Receipts that are known to wait for the ledger.", ("ledger",)),
)
LEDGER_RECEIPTS = Metric(
    "hansa_ledger_receipts", "gauge", "Receipts in the books, void ones too.", ("ledger",)
)
LEDGER_DIFFERENCES = Metric(
    *("hansa_ledger_differences", "gauge"),
    *("Receipts that were not posted and that nobody has explained.", ("ledger",)),
)
LEDGER_HOLDBACK = Metric(
    *("hansa_ledger_holdback_amount", "gauge"),
    "Earned and kept back, in units of the currency.",
    *(("ledger",), ("currency",)),
)
LEDGER_PENDING = Metric(
    *("hansa_ledger_pending_amount", "gauge"),
    "Charged and not due yet, in units of the currency: the exposure that is not billed.",
    *(("ledger",), ("currency",)),
)
LEDGER_AGE = Metric(
    *("hansa_ledger_books_age_seconds", "gauge"),
    *("Seconds since the ledger last read its books.", ("ledger",)),
)
AUDITS_DUE = Metric(
    *("hansa_due_audits", "gauge"),
    *("Audits that are drawn and not decided yet.", ("ledger",)),
)
AUDITS_OVERDUE = Metric(
    *("hansa_overdue_audits", "gauge"),
    *("Audits that have been due for more than a week.", ("ledger",)),
)
AUDITS = Metric(
    *("hansa_decided_audits", "gauge"),
    "Audits that are decided, by verdict.",
    *(("ledger",), ("verdict",)),
)
PROBES = Metric(
    *("hansa_decided_probes", "gauge"),
    "Capacity probes that are over, by what became of them.",
    *(("ledger",), ("outcome",)),
)
PROJECT_BUDGET = Metric(
    *("hansa_project_budget_ratio", "gauge"),
    "Spent share of a project's budget; at 1 nothing new of it starts.",
    *(("ledger",), ("project",)),
)

METRICS = tuple(row for row in list(globals().values()) if isinstance(row, Metric))
"""The table, in the order above."""


def exported_by(process: Process) -> tuple[Metric, ...]:
    """Return the rows of one process."""
    return tuple(metric for metric in METRICS if process in metric.processes)
