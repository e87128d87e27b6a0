"""One line of figures for a run, and its series over time."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from e2e.bench.simulation.record import JobRow, Record


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures that policies are compared by. What each means: docs/reference/benchmarks.md."""

    jobs: int
    mean_wait_s: float
    p99_wait_s: float
    mean_jct_s: float
    utilisation: float
    fragmentation: float
    jain: float
    sharing_violations: int
    preemptions: int
    stopped_by_outages: int
    estimates: int
    estimate_band_share: float | None
    estimate_band_relative_width: float | None
    moves: int

    def as_json(self) -> dict[str, object]:
        """Plain values; floats rounded to six places."""
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(self).items()}


def summarise(record: Record) -> Summary:
    """Reduce a run to its figures."""
    waits = np.array([row.started_s - row.arrived_s for row in record.jobs] or [0], float)
    turnarounds = np.array([row.ended_s - row.arrived_s for row in record.jobs] or [0], float)
    busy = [sample for sample in record.samples if sample.queued]
    estimated = [row for row in record.jobs if row.estimate is not None]
    return Summary(
        jobs=len(record.jobs),
        mean_wait_s=float(waits.mean()),
        p99_wait_s=float(np.percentile(waits, 99)),
        mean_jct_s=float(turnarounds.mean()),
        utilisation=record.used_gpu_s / record.up_gpu_s if record.up_gpu_s else 0.0,
        fragmentation=_mean([s.unusable_gpus / s.up_gpus for s in busy if s.up_gpus]),
        jain=_mean([sample.jain for sample in busy], empty=1.0),
        sharing_violations=record.sharing_violations,
        preemptions=sum(row.preempted for row in record.jobs),
        stopped_by_outages=sum(row.lost for row in record.jobs),
        estimates=len(estimated),
        estimate_band_share=_share_within(estimated) if estimated else None,
        estimate_band_relative_width=_relative_width(estimated) if estimated else None,
        moves=record.moves,
    )


def series(record: Record) -> dict[str, list[float]]:
    """Time series for plots: hours since the first sample, and what was sampled."""
    first_s = record.samples[0].at_s if record.samples else 0
    columns: dict[str, list[float]] = {
        "hours": [(sample.at_s - first_s) / 3600 for sample in record.samples],
        "queued": [float(sample.queued) for sample in record.samples],
        "utilisation": [s.used_gpus / s.up_gpus if s.up_gpus else 0.0 for s in record.samples],
    }
    for name in sorted(record.samples[0].used_by if record.samples else ()):
        columns[f"gpus:{name}"] = [float(s.used_by.get(name, 0)) for s in record.samples]
    return columns


def _share_within(rows: list[JobRow]) -> float:
    hits = [
        row.estimate.p10_s <= row.started_s <= row.estimate.p90_s for row in rows if row.estimate
    ]
    return sum(hits) / len(hits)


def _relative_width(rows: list[JobRow]) -> float:
    """Median of band width over actual wait (at least a minute): a wide band proves nothing."""
    widths = [
        (row.estimate.p90_s - row.estimate.p10_s) / max(60, row.started_s - row.arrived_s)
        for row in rows
        if row.estimate
    ]
    return float(np.median(widths))


def _mean(values: list[float], *, empty: float = 0.0) -> float:
    return float(np.mean(values)) if values else empty
