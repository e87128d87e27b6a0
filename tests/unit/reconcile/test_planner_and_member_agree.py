"""The planner's eligibility against the member's own judgement: one league, two independent readings.

Institutions and jobs are drawn in bulk. Each institution declares itself to the hub with the member's
code, the hub reads it with its own, and every job is asked of every institution on both sides.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from hansa.grants.checks import judge
from hansa.grants.facts import Facts
from hansa.grants.reasons import MemberReason
from hansa.model.reasons import Reason
from hansa.model.snapshot import Snapshot
from hansa.placement.planner import explain, plan
from hansa.reconcile.hub.job_view import Catalog, fault_of
from hansa.reconcile.hub.nodes import NodeLimits, parse_node, view_node
from hansa.reconcile.hub.pools import parse_pool
from hansa.reconcile.hub.snapshot import LeagueView, build, known_datasets, plan_job
from hansa.reconcile.member.inventory.accelerators import gpu_class
from hansa.reconcile.member.inventory.cards import Cards
from hansa.reconcile.member.inventory.machine import Machine
from hansa.reconcile.member.inventory.stock import take_stock
from hansa.reconcile.member.node_declaration import Declaration, Health, node_status
from tests.residency_kit import EVERYWHERE
from tests.seeds import seeds
from tests.unit.grants import grant_kit
from tests.unit.reconcile.hub.hub_objects import NOW_S, job_view, node_manifest, shown

LIMITS = NodeLimits(lease_grace_s=40, currency="EUR")
STANDS = ("EE", "FI", "PT", "PT-11", "BR", "US", "NO")
PLACES = (*STANDS, "EU", "EEA", "Nordic", "Mercosur", "World", "overlay/friends", "overlay/near")
NONSENSE = ("overlay/nowhere",)
OVERLAYS = [
    {"name": "friends", "places": ["BR", "overlay/near"]},
    {"name": "near", "places": ["Nordic", "PT-11"]},
]
OWN_OVERLAYS = [{"name": one["name"], "places": ["EE", "FI"]} for one in OVERLAYS[:1]]
"""What institutions mean by an overlay that the pool has, too: it binds their data sets."""
DATA = ("cohort", "sea", "scans")
LEVELS = ("L0", "L1", "L2")
CARDS = {"NVIDIA-L40S": (48, 24), "AMD-MI210": (64,)}
"""Product label → GiB of one card; the same product is sold with different memory."""
WORKERS = {"cpu": "1", "memory": "1Gi"}

SAME = {
    MemberReason.RESIDENCY_DENIED: {
        Reason.RESIDENCY_DENIED,
        Reason.UNKNOWN_JURISDICTION,
        Reason.POOL_MISCONFIGURED,
        # A data set whose rule its own holder's policy does not understand is not announced.
        Reason.DATA_ELSEWHERE,
        Reason.UNKNOWN_DATASET,
    },
    MemberReason.LEGAL_CONTROL_DENIED: {
        Reason.LEGAL_CONTROL_DENIED,
        Reason.UNKNOWN_JURISDICTION,
        Reason.POOL_MISCONFIGURED,
        # A data set whose rule its own holder's policy does not understand is not announced.
        Reason.DATA_ELSEWHERE,
        Reason.UNKNOWN_DATASET,
    },
    MemberReason.DATASET_UNKNOWN: {Reason.DATA_ELSEWHERE, Reason.UNKNOWN_DATASET},
    MemberReason.GPUS_NOT_LENT: {
        Reason.NO_ACCELERATOR,
        Reason.NO_SUCH_ACCELERATOR,
        Reason.EXCEEDS_NODE_SHAPE,
    },
    MemberReason.ASSURANCE_TOO_LOW: {Reason.ASSURANCE_TOO_LOW},
}
"""A member's refusal by its law → the planner's words for it, which it knows beforehand."""
ANNOUNCED = {
    MemberReason.STOPPED, MemberReason.PAUSED, MemberReason.POLICY_MISSING, MemberReason.CLOCK_SKEW,
    MemberReason.KUBERAY_MISSING, MemberReason.KUBERAY_TOO_OLD, MemberReason.DISK_FULL, MemberReason.LEDGER_BEHIND,
}  # fmt: skip
"""Refusals of everybody, which the node's status tells: it takes no work (see ``test_hub_nodes``)."""
PRIVATE = {
    MemberReason.OWNER_SIGNATURE_MISSING, MemberReason.OWNER_SIGNATURE_INVALID,
    MemberReason.AUTHORIZATION_SPENT, MemberReason.TENANT_NOT_ACCEPTED,
    MemberReason.WORKLOAD_NOT_ACCEPTED, MemberReason.IMAGE_NOT_ALLOWED, MemberReason.DATASET_NOT_LENT,
    MemberReason.SECRET_NOT_LENT, MemberReason.RUNTIME_TOO_LONG, MemberReason.OUTSIDE_HOURS,
    MemberReason.TOO_MANY_JOBS, MemberReason.RAY_TOO_OLD, MemberReason.CANARY_ADMITTED,
    MemberReason.RESOLVER_MISSING, MemberReason.PACKAGES_NOT_ALLOWED,
}  # fmt: skip
"""Rules the institution tells nobody: the hub learns of them by the refusal, and remembers it."""
OF_THE_GRANT = {
    MemberReason.MALFORMED, MemberReason.WRONG_NODE, MemberReason.UNKNOWN_HUB,
    MemberReason.BAD_SIGNATURE, MemberReason.DIGEST_MISMATCH, MemberReason.STALE_EPOCH,
    MemberReason.PREVIOUS_RUN_LIVES,
    MemberReason.WITHDRAWN, MemberReason.EXPIRED, MemberReason.NOT_YET_VALID,
}  # fmt: skip
"""What can be wrong with one grant, whatever the job is."""


def test_every_refusal_has_its_counterpart():
    sorts = [set(SAME), ANNOUNCED, PRIVATE, OF_THE_GRANT]

    assert set().union(*sorts) == set(MemberReason)
    assert sum(map(len, sorts)) == len(MemberReason)


def some(rng: np.random.Generator, options, most: int, least: int = 1) -> list[str]:
    count = int(rng.integers(least, most + 1))
    return sorted(map(str, rng.choice(options, size=count, replace=False)))


def place_rule(rng: np.random.Generator) -> dict[str, list[str]]:
    allow = some(rng, PLACES, 4) if rng.random() < 0.6 else ["World"]
    deny = some(rng, [p for p in PLACES if p not in {*allow, "World"}], 1, 0)
    if rng.random() < 0.03:
        (allow if rng.random() < 0.5 else deny).append(str(rng.choice(NONSENSE)))
    return {"allow": allow, "deny": deny}


def residency(rng: np.random.Generator) -> dict[str, Any]:
    return {"location": place_rule(rng), "legalControl": place_rule(rng)}


def law(rng: np.random.Generator):
    """An institution's policy."""
    stands = str(rng.choice(STANDS))
    held = some(rng, DATA, 3, 0)
    return grant_kit.policy(
        jurisdiction=stands,
        legalControl=[stands, *(set(some(rng, STANDS, 1, 0)) - {stands})],
        datasets=[
            {
                "name": name,
                "jurisdiction": stands,
                "claim": name,
                "residency": residency(rng) if rng.random() < 0.5 else EVERYWHERE,
            }
            for name in held
        ],
        lending=[{"gpuClass": "nvidia-l40s", "maxGpus": int(rng.integers(0, 9))}],
        assurance=str(rng.choice(LEVELS)),
        overlays=OWN_OVERLAYS,
    )


def some_cards(rng: np.random.Generator, product: str) -> tuple[Cards, ...]:
    """Whole cards or slices of them, or none; of some the memory is not known."""
    count, size = int(rng.choice([0, 2, 4])), int(rng.choice(CARDS[product])) << 30
    name, is_slice = gpu_class(product, ""), rng.random() < 0.2
    if is_slice:
        name += "-shared"
    memory = 0 if rng.random() < 0.1 else size
    return (Cards("x", name, count, memory, is_slice=bool(is_slice)),) if count else ()


def machine(rng: np.random.Generator, stands: str, index: int) -> Machine:
    product = str(rng.choice(list(CARDS)))
    return Machine(
        name=f"m{index}",
        jurisdiction=stands,
        cards=some_cards(rng, product),
        cpu="64",
        memory="512Gi",
    )


def request(rng: np.random.Generator) -> dict[str, Any]:
    """What a job asks for."""
    workers: dict[str, Any] = {"count": int(rng.integers(1, 4))} | WORKERS
    if rng.random() < 0.6:
        workers["gpus"] = int(rng.choice([1, 2, 4]))
        wish = int(rng.integers(3))
        workers |= [{}, {"gpuClass": "nvidia-l40s"}, {"gpuMemory": "40Gi"}][wish]
    return grant_kit.job(
        ray={"version": "2.60.0", "workers": workers},
        data=[{"name": name} for name in some(rng, DATA, 2, 0)],
        residency=residency(rng) if rng.random() < 0.8 else EVERYWHERE,
        assurance=str(rng.choice(LEVELS, p=[0.7, 0.2, 0.1])),
    )


class Sides:
    """Some institutions and jobs, as both sides see them."""

    def __init__(self, seed: int, *, sites: int = 16, jobs: int = 20) -> None:
        rng = np.random.default_rng(seed)
        self.laws = {f"site-{n}": law(rng) for n in range(sites)}
        self.stocks = {
            name: take_stock(
                [machine(rng, its.jurisdiction, n) for n in range(int(rng.integers(1, 4)))], its, {}
            )
            for name, its in self.laws.items()
        }
        self.requests = [request(rng) for _ in range(jobs)]
        self.nodes = {name: self._announced(name) for name in self.laws}
        pool = parse_pool(
            {
                "metadata": {"name": "league"},
                "spec": {"overlays": OVERLAYS, "residency": EVERYWHERE},
            }
        )
        self.catalog = Catalog(
            {"league": pool}, {"clinic": "hospital"}, known_datasets(self.nodes.values()), "EUR"
        )

    def _announced(self, name: str):
        its = self.laws[name]
        said = Declaration(
            name, its, 1, self.stocks[name], Health(), "1", "v1.6.1", grant_kit.HUB.public_key
        )
        status = node_status(said, [], now_s=NOW_S)["status"] | {
            "assurance": shown(grant_kit.HUB, its.assurance, NOW_S + 60)
        }
        spec = {
            "jurisdiction": its.jurisdiction,
            "legalControl": list(its.legal_control),
            "releaseKey": grant_kit.HUB.public_key,
        }
        manifest = node_manifest(name, status, **spec)
        return view_node(parse_node(manifest, LIMITS), NOW_S, NOW_S, LIMITS)

    def jobs(self):
        """The jobs as the hub reads them, those with a fault of their own too."""
        for number, wire in enumerate(self.requests):
            yield job_view(meta={"uid": f"{number:08x}{grant_kit.UID[8:]}"}, **wire)

    def snapshot(self) -> Snapshot:
        league = LeagueView(1, self.nodes, self.catalog)
        return build(league, [plan_job(job, (), league, NOW_S) for job in self.jobs()], NOW_S)

    def refusals(self, wire: dict[str, Any]) -> dict[str, set[MemberReason]]:
        """What every institution holds against a job it is granted."""
        signed = grant_kit.grant(wire, overlays=OVERLAYS)
        return {
            name: {o.reason for o in judge(signed, its, self._facts(name)).objections}
            for name, its in self.laws.items()
        }

    def _facts(self, name: str) -> Facts:
        return grant_kit.facts(stock=self.stocks[name].stock)


@pytest.mark.parametrize("seed", seeds(24))
def test_both_sides_apply_the_same_rules(seed):
    """Rule for rule, in 7,680 cases of 24 leagues: who is refused, and by which rule."""
    sides, seen = Sides(seed), Counter()
    snapshot = sides.snapshot()
    for job, wire in zip(sides.jobs(), sides.requests, strict=True):
        fault = fault_of(job, sides.catalog)
        known = {v.site: v.reason for v in explain(snapshot, job.uid)} if fault is None else {}
        for name, refusals in sides.refusals(wire).items():
            said = fault[0] if fault else known.get(name, Reason.PENDING)
            counterparts = {refusal for refusal in refusals if said in SAME[refusal]}
            if said is Reason.PENDING:
                assert refusals == set(), (name, wire)
            elif said is not Reason.EXCEEDS_NODE_SHAPE:  # machines are the planner's to fill
                assert counterparts, (name, said, refusals, wire)
            seen[said] += 1
    assert seen[Reason.PENDING]
    assert len(seen) > 4


@pytest.mark.parametrize("seed", seeds(24))
def test_nothing_is_planned_where_the_member_would_refuse(seed):
    sides = Sides(100 + seed)
    wires = {job.uid: wire for job, wire in zip(sides.jobs(), sides.requests, strict=True)}
    placements = plan(sides.snapshot()).placements
    for placed in placements:
        assert sides.refusals(wires[placed.job_uid])[placed.site] == set()
    assert placements
