"""What the exporter tells of a machine and its GPUs.

No label is called job: Prometheus' operator sets that one itself, and renames ours.
"""

from __future__ import annotations

from hansa.observability.rows.metric import Metric

PROBE_UP = Metric(
    "hansa_gpu_probe_up",
    "gauge",
    "1 when the driver answered the last reading; else 0, with the reason. CardError, beside the 1: a card"
    " answers with errors.",
    ("exporter",),
    ("reason",),
)
GPU_INFO = Metric(
    "hansa_gpu_info",
    "gauge",
    "1 for each GPU of this machine.",
    ("exporter",),
    ("gpu", "index", "gpu_class"),
)
GPUS_SEEN = Metric(
    "hansa_machine_gpus_seen",
    "gauge",
    "GPUs that the driver of a machine shows; 0 where there is no driver. Absent while it does not answer.",
    ("exporter",),
    ("machine",),
)
MACHINE_REQUESTS = Metric(
    "hansa_machine_requests",
    "gauge",
    "Requests of a machine's pods that are not the league's, in each resource's unit.",
    *(("exporter",), ("machine", "resource")),
)
GPU_JOB = Metric(
    "hansa_gpu_job_info",
    "gauge",
    'Which AIJob a GPU serves: its uid, "none", or "unknown" where that cannot be told apart.',
    ("exporter",),
    ("gpu", "aijob", "institution"),
)
GPU_BUSY = Metric(
    "hansa_gpu_busy_ratio",
    "gauge",
    "Share of the driver's last sample period in which at least one kernel was resident. This is"
    " not occupancy: one small kernel counts like a full one. Absent under MIG.",
    ("exporter",),
    ("gpu",),
)
GPU_MEMORY_USED = Metric(
    "hansa_gpu_memory_used_bytes", "gauge", "GPU memory in use.", ("exporter",), ("gpu",)
)
GPU_MEMORY_TOTAL = Metric(
    "hansa_gpu_memory_size_bytes", "gauge", "GPU memory there is.", ("exporter",), ("gpu",)
)
GPU_POWER = Metric("hansa_gpu_power_watts", "gauge", "Power drawn.", ("exporter",), ("gpu",))
GPU_ENERGY = Metric(
    "hansa_gpu_energy_joules_total",
    "counter",
    "Energy drawn since the driver was loaded.",
    ("exporter",),
    ("gpu",),
)
GPU_TEMPERATURE = Metric(
    "hansa_gpu_temperature_celsius", "gauge", "Temperature of the GPU.", ("exporter",), ("gpu",)
)
GPU_ECC = Metric(
    "hansa_gpu_ecc_errors_total",
    "counter",
    "Memory errors since the driver was loaded, by severity (corrected, uncorrected).",
    ("exporter",),
    ("gpu", "severity"),
)
GPU_SLOWDOWN = Metric(
    "hansa_gpu_slowdown_celsius",
    "gauge",
    "Temperature at which the GPU slows itself down. Absent where the driver does not tell.",
    ("exporter",),
    ("gpu",),
)
GPU_XIDS = Metric(
    "hansa_gpu_xid_errors_total",
    "counter",
    "XID errors since the exporter began to listen, by whose they are: the program's (cause=application)"
    " or the card's, its driver's or its link's (cause=hardware). Absent where the driver tells none.",
    ("exporter",),
    ("gpu", "cause"),
)
GPU_LAST_XID = Metric(
    "hansa_gpu_last_xid_info",
    "gauge",
    "1 for the XID of the last error of each GPU that had one, by cause.",
    ("exporter",),
    ("gpu", "xid", "cause"),
)
