"""What the processes export in a league that is new, one that is well, and one where all is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from prometheus_client import generate_latest

from hansa.exporter.attribution import NOBODY, Served
from hansa.exporter.samples import Round, held_samples, round_samples, seen_samples
from hansa.observability import collectors
from hansa.observability import metrics as m
from hansa.observability.collectors import Sample
from hansa.observability.instruments import Instruments
from hansa.observability.views import GpuCount, HubReading, MemberReading
from hansa.ports import GpuReading

Count = tuple[m.Metric, float, dict[str, str]]
"""Metric, by how much, labels."""
JOB = Served("uid-1", "hospital")
DISPUTED = ("SovereignNode", "JurisdictionAgreed")
CONDITIONS = ("Enforcing", "KubeRayReady", "SecondLockHolds", "ReceiptsTaken", "RunsRemoved")

WELL_HUB = HubReading(
    jobs={("league", "Running"): 2},
    gpus=(GpuCount("hospital", "EE", "nvidia-t4", 8, 4, 2),),
    node_lease_age_s={"tartu": 4.0},
    watch_event_age_s={"aijobs": 20.0},
    objects={(*DISPUTED, "True", "Agreed"): 1},
    leader=True,
    leases={"hansa-hub": True},
    plan_gap=0.01,
    prices_age_s=3.0,
    clock_skew_s=0.3,
)
WELL_MEMBER = MemberReading(
    jobs={"Running": 1},
    gpus={"nvidia-t4": 2},
    gpus_held={"nvidia-t4": 1},
    machine_gpus={"m1": 2, "m2": 1},
    offered_gpus={"m1": 2, "m2": 1},
    watch_event_age_s={"workgrants": 20.0},
    conditions=dict.fromkeys(CONDITIONS, True),
    hub_contact_age_s=2.0,
    token_remaining_s=20 * 86_400.0,
    clock_skew_s=0.2,
)
CARD = GpuReading(
    "GPU-1", 0, "Tesla T4", 60, 1 << 30, 16 << 30, 60_000, 9_000, 55, 0, 0, (7,), 93, {}
)
IDLE = replace(CARD, uuid="GPU-2", index=1, busy_percent=0)
WELL_CARDS = (CARD, IDLE)
ILL_CARD = replace(
    CARD, busy_percent=0, temperature_celsius=92, ecc_uncorrected=3, xids={79: 1, 31: 2}
)
SERVED = {"GPU-1": JOB, "GPU-2": NOBODY}


def guard(pass_age_s: float) -> list[Sample]:
    return [
        Sample(m.GUARD_PASS_AGE, pass_age_s),
        Sample(m.GUARD_CONTACT_AGE, 1.0),
        Sample(m.GUARD_RUNS, 1),
    ]


def ledger(*, behind: int, differences: int, spent: float, failed: int) -> list[Sample]:
    return [
        Sample(m.LEDGER_BEHIND, behind),
        Sample(m.LEDGER_AGE, 1.0),
        Sample(m.LEDGER_RECEIPTS, 100),
        Sample(m.LEDGER_DIFFERENCES, differences),
        Sample(m.LEDGER_HOLDBACK, 4.0, ("EUR",)),
        Sample(m.LEDGER_PENDING, 40.0, ("EUR",)),
        Sample(m.PROJECT_BUDGET, spent, ("clinic/screening",)),
        Sample(m.AUDITS_DUE, 3),
        Sample(m.AUDITS_OVERDUE, failed),
        Sample(m.AUDITS, 40, ("Passed",)),
        Sample(m.AUDITS, failed, ("Failed",)),
        Sample(m.AUDITS, failed, ("Inconclusive",)),
        Sample(m.PROBES, 40, ("Passed",)),
        Sample(m.PROBES, failed, ("Failed",)),
    ]


def exporter(last: Round, *machines: str) -> list[Sample]:
    """``machines``: whose exporters answer; all pages are one target here."""
    rows = [*round_samples(last, str.lower), *held_samples("m1", {"pods": 3000})]
    for machine in machines:
        rows += seen_samples(machine, last)
    return rows


def no_counts() -> list[Count]:
    return []


def counts(refusals: float) -> list[Count]:
    return [
        (m.REFUSALS, refusals, {"node": "tartu", "reason": "Paused"}),
        (m.API_WRITES, 1.0, {"verb": "patch", "resource": "aijobs", "outcome": "ok"}),
        *((metric, 1.0, {"pool": "league"}) for metric in (m.QUEUE_WAIT, m.START_LATENCY)),
        (m.PLAN_DURATION, 0.1, {}),
        (m.MEMBER_REFUSALS, 1.0, {"reason": "Paused"}),
        (m.GRANT_TO_WORKLOAD, 0.1, {}),
    ]


State = Mapping[str, Callable[[], Any]]
EMPTY: State = {
    "hub": lambda: collectors.hub_samples(HubReading(leader=True, leases={"hansa-hub": True})),
    "member": lambda: collectors.member_samples(MemberReading()),
    "guard": lambda: guard(1.0),
    "ledger": lambda: [Sample(m.LEDGER_BEHIND, 0), Sample(m.LEDGER_AGE, 1.0)],
    "exporter": lambda: exporter(Round(trouble="Starting"), "m1"),
    "counts": no_counts,
}
QUIET: State = {
    "hub": lambda: collectors.hub_samples(WELL_HUB),
    "member": lambda: collectors.member_samples(WELL_MEMBER),
    "guard": lambda: guard(1.0),
    "ledger": lambda: ledger(behind=3, differences=0, spent=0.4, failed=0),
    "exporter": lambda: [
        *exporter(Round(WELL_CARDS, SERVED), "m1"),
        Sample(m.GPUS_SEEN, 1, ("m2",)),
    ],
    "counts": lambda: counts(0.0),
}
FIRING: State = {
    "hub": lambda: collectors.hub_samples(
        replace(
            WELL_HUB,
            jobs={("league", "Pending"): 3},
            node_lease_age_s={"tartu": 900.0},
            watch_event_age_s={"aijobs": 900.0},
            objects={(*DISPUTED, "False", "Disputed"): 1},
            leader=False,
            leases={"hansa-hub": False},
            clock_skew_s=-45.0,
        )
    ),
    "member": lambda: collectors.member_samples(
        replace(
            WELL_MEMBER,
            conditions=dict.fromkeys(CONDITIONS, False),
            hub_contact_age_s=4000.0,
            token_remaining_s=3600.0,
            clock_skew_s=90.0,
        )
    ),
    "guard": lambda: guard(600.0),
    "ledger": lambda: ledger(behind=2000, differences=2, spent=1.0, failed=1),
    # One of the two cards of m1 is gone; m2 tells nothing, another machine's driver does not answer.
    "exporter": lambda: [
        *exporter(Round((ILL_CARD,), SERVED), "m1"),
        *round_samples(
            Round((replace(IDLE, temperature_celsius=91, slowdown_celsius=None),), SERVED),
            str.lower,
        ),
        Sample(m.PROBE_UP, 0.0, ("DriverError",)),
    ],
    "counts": lambda: counts(100.0),
}


def page(process: str, state: State) -> bytes:
    """Return the page of a process in a state."""
    instruments = Instruments(process)  # type: ignore[arg-type]  # one of them
    instruments.attach(collectors.SampleCollector(state[process]))
    for metric, amount, labels in state["counts"]():
        if process in metric.processes:
            feed = instruments.observe if metric.type == "histogram" else instruments.add
            feed(metric, amount, **labels)
    return generate_latest(instruments.registry)
