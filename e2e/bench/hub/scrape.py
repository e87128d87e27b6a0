"""What the hub says of itself: its page of metrics, its probes, and its log."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from e2e.testbed.host.clock import elapsed_s
from hansa.observability import metrics as m

PATIENCE = aiohttp.ClientTimeout(total=120)
POLL_S = 0.2
LOOK_S, HARDLY_ANY = 15.0, 10
"""Writes have come to an end where so few came between two looks."""
WRITTEN = ("aijobs", "aijobs/status", "workgrants")
"""What belongs to jobs; nodes' heartbeats are shown beside."""


Bounds = tuple[tuple[float, float], ...]
"""Upper bound in seconds → how many kept to it, cumulated."""


@dataclass(frozen=True, slots=True)
class Page:
    """One scrape."""

    seconds: float
    series: int
    writes: float
    """Of jobs and grants, whatever became of them."""
    other_writes: float
    lags: Bounds
    """How late timers were."""
    work: Bounds
    """CPU of the loop's thread between two timers."""
    gap: float | None
    """Share of the optimum that the last full plan may be missing, by the prices that it had."""
    prices_s: float | None
    """Mean time of a solve for shadow prices; None before the first."""
    prices_age_s: float | None


async def scrape(port: int) -> Page:
    """Read the page of metrics as Prometheus does."""
    begun = elapsed_s()
    async with (
        aiohttp.ClientSession(timeout=PATIENCE) as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        text = await answer.text()
    seconds = elapsed_s() - begun
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    writes = [s for s in samples if s.name == m.API_WRITES.name]
    of_jobs = sum(s.value for s in writes if s.labels["resource"] in WRITTEN)

    def bounds(metric: m.Metric) -> Bounds:
        found = [s for s in samples if s.name == metric.name + "_bucket"]
        return tuple(sorted((float(s.labels["le"]), s.value) for s in found))

    def value(name: str) -> float | None:
        return next((round(s.value, 4) for s in samples if s.name == name), None)

    solves, solved_s = (value(f"{m.PRICES_DURATION.name}_{part}") for part in ("count", "sum"))
    return Page(
        seconds,
        len(samples),
        of_jobs,
        sum(s.value for s in writes) - of_jobs,
        bounds(m.LOOP_LAG),
        bounds(m.LOOP_WORK),
        value(m.PLAN_GAP.name),
        round(solved_s / solves, 2) if solves and solved_s is not None else None,
        value(m.PRICES_AGE.name),
    )


async def until_written(port: int, least_s: float, most_s: float) -> float | None:
    """Return once hardly anything more is written of jobs and grants, and ``least_s`` have passed.

    Returns after how many seconds writes had come to an end, to a look; None: not after ``most_s``.
    """
    begun, ended_s = elapsed_s(), None
    before = (await scrape(port)).writes
    while elapsed_s() - begun < (least_s if ended_s is not None else most_s):
        await asyncio.sleep(LOOK_S)
        now = (await scrape(port)).writes
        if now - before >= HARDLY_ANY:
            ended_s = None
        elif ended_s is None:
            ended_s = elapsed_s() - begun - LOOK_S
        before = now
    return None if ended_s is None else round(ended_s, 1)


def share_within_s(found: Bounds, share: float) -> float | None:
    """Return the bound that a share of all kept to; None beyond the largest bound."""
    total = found[-1][1] if found else 0
    bound = next((le for le, count in found if count >= share * total), float("inf"))
    return None if bound == float("inf") else bound


def longest_stop_s(page: Page, log: Path) -> tuple[float | None, float | None]:
    """Return the longest time the loop was held, and the most CPU its thread used meanwhile.

    As the log tells it; else the bounds that all kept to.
    """
    lines = log.read_text(errors="replace").splitlines()
    told = [json.loads(line) for line in lines if "event loop held" in line]
    if not told:
        return share_within_s(page.lags, 1.0), share_within_s(page.work, 1.0)
    return max(row["seconds"] for row in told), max(row["cpuSeconds"] for row in told)


def kernel_loaded_s(log: Path) -> float | None:
    """Return how long it took until the compiled kernel was there, as the log tells; None: it is not."""
    lines = log.read_text(errors="replace").splitlines()
    told = [json.loads(line)["seconds"] for line in lines if "plans by the compiled kernel" in line]
    return float(told[0]) if told else None


async def until_ready(port: int, timeout_s: float) -> float | None:
    """Return when ``/readyz`` first said ok, or None."""
    deadline = elapsed_s() + timeout_s
    async with aiohttp.ClientSession(timeout=PATIENCE) as session:
        while elapsed_s() < deadline:
            try:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    if answer.status == 200:
                        return elapsed_s()
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(POLL_S)
    return None


async def probe(port: int, answers_s: list[float]) -> None:
    """Ask ``/healthz`` once a second until cancelled, as the kubelet does, and note each answer's time."""
    async with aiohttp.ClientSession(timeout=PATIENCE) as session:
        while True:
            begun = elapsed_s()
            try:
                async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                    await answer.read()
                answers_s.append(elapsed_s() - begun)
            except (aiohttp.ClientError, TimeoutError):
                if answers_s:
                    answers_s.append(elapsed_s() - begun)
            await asyncio.sleep(1.0)
