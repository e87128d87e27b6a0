"""A large league as the objects of its hub: the workload PHX, written the way people and agents write.

Machines, shapes, residency, priorities and shares are PHX's (``e2e/bench/phx``). One country is kept
out by the pool's ceiling at first: the benchmark lets it in later, and sees how long the hub takes.
"""

from __future__ import annotations

import base64
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.bench.phx.workload import EPOCH_S, static_snapshot
from e2e.testbed.host.clock import utc_now
from hansa.adapters.keys import Ed25519Signer
from hansa.api.meta import API_VERSION, INSTITUTION_LABEL, NODE_NAMESPACE_PREFIX
from hansa.api.sovereignnode import AssuranceWord
from hansa.hub.caches import HEARTBEAT_LEASE
from hansa.model.snapshot import (
    Job,
    Machines,
    PlaceSet,
    Pool,
    ResidencyRule,
    Share,
    Site,
    Snapshot,
)
from hansa.model.times import rfc3339, rfc3339_micro
from hansa.ports import Manifest
from hansa.reconcile.hub.node_access import access_manifests
from hansa.verification.course.signed_words import say

KEPT_OUT = "IS"
"""The country that the pool's ceiling denies until the benchmark edits it."""
GPUS_PER_SITE = 20
GPUS_PER_JOB = 4
"""On average. GPUs run so short that most jobs wait: a hub spends its life with those."""
LONGEST_RUN_S = 2_592_000
IMAGE = f"hansa.local/ray-sklearn@sha256:{'0' * 64}"
MICROS = 1_000_000
MIB = 1 << 20


@dataclass(frozen=True)
class League:
    """Members and queued jobs, drawn from a seed."""

    jobs: int
    members: int
    seed: int
    leaders: int = 1
    """Pools, each with a leader of its own."""

    @cached_property
    def signer(self) -> Ed25519Signer:
        """The key that all members sign releases with: one is enough to measure by."""
        return Ed25519Signer.generate()

    @cached_property
    def hub_signer(self) -> Ed25519Signer:
        """The hub's key, by which a level counts."""
        return Ed25519Signer.generate()

    @cached_property
    def identity_key(self) -> str:
        """The identity key of all members."""
        point = ec.generate_private_key(ec.SECP256R1()).public_key()
        form = serialization.PublicFormat.CompressedPoint
        raw = point.public_bytes(serialization.Encoding.X962, form)
        return base64.b64encode(raw).decode()

    @cached_property
    def snapshot(self) -> Snapshot:
        """The league as the planner would see it."""
        gpus, asked = GPUS_PER_SITE * self.members, GPUS_PER_JOB * self.jobs
        whole = static_snapshot(
            jobs=self.jobs, sites=self.members, gpus=gpus, load=asked / gpus, seed=self.seed
        )
        return divided(whole, self.leaders) if self.leaders > 1 else whole

    @cached_property
    def now_s(self) -> float:
        """When the league is set up."""
        return utc_now().timestamp()

    def objects(self) -> Iterator[Manifest]:
        """Yield everything that is there when the hub starts."""
        uids = np.random.default_rng(self.seed)
        now = rfc3339(self.now_s)
        for thing in self._things():
            meta = thing["metadata"]
            meta.setdefault("uid", str(uuid.UUID(bytes=uids.bytes(16), version=4)))
            meta.setdefault("creationTimestamp", now)
            if thing["apiVersion"] == API_VERSION:
                meta.setdefault("generation", 1)
            yield thing

    def _things(self) -> Iterator[Manifest]:
        yield from map(pool_manifest, self.snapshot.pools)
        for share in self.snapshot.pools[0].shares:
            labels = {INSTITUTION_LABEL: share.institution}
            yield _object("v1", "Namespace", share.institution, labels=labels)
        for site in self.snapshot.sites:
            yield self._node(site)
            yield from self._access(site.name)
        for job in self.snapshot.jobs:
            yield job_manifest(job, self.now_s)

    def _access(self, node: str) -> Iterator[Manifest]:
        """What the hub made for a member when it was accepted, and the Lease it keeps."""
        space = NODE_NAMESPACE_PREFIX + node
        for _, thing in access_manifests(node, self.identity_key):
            if thing["kind"] in {"ResourceQuota", "ServiceAccount", "Role", "RoleBinding"}:
                thing["metadata"]["namespace"] = space
            yield thing
        spec = {"holderIdentity": node, "renewTime": rfc3339_micro(self.now_s)}
        lease = _object("coordination.k8s.io/v1", "Lease", HEARTBEAT_LEASE, namespace=space)
        yield lease | {"spec": spec}

    def _node(self, site: Site) -> Manifest:
        inventory: Counter[tuple[str, str]] = Counter()
        for group in site.machines:
            memory = f"{group.gpu_memory_bytes // MIB}Mi"
            inventory[group.gpu_class, memory] += group.count * group.gpus
        ready = {"status": "True", "observedGeneration": 1, "lastTransitionTime": _LONG_AGO}
        said = {
            "Ready": ("Ready", "The node takes work."),
            "JurisdictionAgreed": ("Agreed", "League and institution agree."),
            "Sound": ("Sound", "The planner can use all of it."),
        }
        if site.unavailable is not None:
            del said["Ready"]
        status = {
            "declaredJurisdiction": site.jurisdiction,
            "declaredLegalControl": sorted(site.legal_control),
            "policyGeneration": 1,
            "switch": "Open",
            "inventory": [
                {"gpuClass": name, "memory": memory, "total": count}
                for (name, memory), count in sorted(inventory.items())
            ],
            "shapes": [_shape(group) for group in site.machines],
            "datasets": [
                {"name": name, "jurisdiction": where, "residency": residency(ResidencyRule())}
                for name, where in site.datasets.items()
            ],
            "releaseKey": self.signer.public_key,
            "identity": {"key": self.identity_key, "sealed": "AAAA", "notAfter": _FAR},
            "lastHeartbeatTime": rfc3339(self.now_s),
            "conditions": [
                {"type": kind, "reason": reason, "message": words, **ready}
                for kind, (reason, words) in said.items()
            ],
        }
        word = say(
            self.hub_signer,
            AssuranceWord,
            node_key=self.signer.key_id,
            level=f"L{site.assurance}",
            since=_LONG_AGO,
            until=_FAR,
            why="",
        )
        status["assurance"] = word.model_dump(by_alias=True, mode="json")
        spec = {
            "institution": site.institution,
            "operator": site.operator,
            "jurisdiction": site.jurisdiction,
            "legalControl": sorted(site.legal_control),
            "accepted": "Accepted",
            "identityKey": self.identity_key,
            "releaseKey": self.signer.public_key,
            "prices": [
                {"gpuClass": name, "perGpuHour": _decimal(price)}
                for name, price in sorted(site.gpu_hour_price.items())
            ],
            "scheduling": "Open" if site.unavailable is None else "Cordoned",
        }
        return _object(API_VERSION, "SovereignNode", site.name) | {"spec": spec, "status": status}


def divided(whole: Snapshot, leaders: int) -> Snapshot:
    """Return a league whose sites and jobs are dealt out to as many pools, quotas with them."""
    (pool,) = whole.pools
    pools = tuple(
        replace(
            pool,
            name=f"{pool.name}-{place}",
            site_names=frozenset(site.name for site in whole.sites[place::leaders]),
            shares=tuple(_part(share, leaders) for share in pool.shares),
        )
        for place in range(leaders)
    )
    jobs = tuple(replace(job, pool=pools[n % leaders].name) for n, job in enumerate(whole.jobs))
    return replace(whole, pools=pools, jobs=jobs)


def _part(share: Share, leaders: int) -> Share:
    borrow, lend = share.borrowing_limit, share.lending_limit
    return replace(
        share,
        nominal_gpus=share.nominal_gpus // leaders,
        borrowing_limit=None if borrow is None else borrow // leaders,
        lending_limit=None if lend is None else lend // leaders,
    )


_LONG_AGO = "2026-01-01T00:00:00Z"
_FAR = "2036-01-01T00:00:00Z"


def pool_manifest(pool: Pool) -> Manifest:
    """Return the pool, one country kept out."""
    ceiling = residency(pool.ceiling)
    ceiling["location"]["deny"] = [KEPT_OUT]
    institutions = [
        {
            "institution": share.institution,
            "cohort": share.cohort,
            "nominalGpus": share.nominal_gpus,
            "weight": share.weight,
            **_given(
                borrowingLimitGpus=share.borrowing_limit, lendingLimitGpus=share.lending_limit
            ),
        }
        for share in pool.shares
    ]
    spec = {
        "nodes": {"names": sorted(pool.site_names or ())},
        "institutions": institutions,
        "cohorts": [{"name": name} for name in sorted(pool.cohort_parents)],
        "residency": ceiling,
        "overlays": [
            {"name": name, "places": sorted(places)} for name, places in pool.overlays.items()
        ],
        "caps": [{"dimension": c.dimension, "maxPercent": c.max_percent} for c in pool.caps],
    }
    return _object(API_VERSION, "ComputePool", pool.name) | {"spec": spec}


def job_manifest(job: Job, now_s: float) -> Manifest:
    """Return a queued job as its owner wrote it, as long ago as it says."""
    shape = job.shape
    workers = {
        "count": shape.workers,
        "gpus": shape.gpus,
        "cpu": f"{shape.cpu_millis}m",
        "memory": f"{shape.memory_bytes // MIB}Mi",
        **({"minCount": shape.min_workers} if shape.min_workers else {}),
        **({"gpuClass": shape.gpu_class} if shape.gpu_class else {}),
    }
    spec = {
        "pool": job.pool,
        "image": IMAGE,
        "entrypoint": ["python3", "-c", "pass"],
        "ray": {"version": "2.60.0", "head": {"cpu": "1", "memory": "2Gi"}, "workers": workers},
        "data": [{"name": name} for name in job.data],
        "residency": residency(job.residency),
        "priority": job.priority,
        "maxRuntimeSeconds": min(LONGEST_RUN_S, job.max_runtime_s),
        "checkpointSeconds": job.checkpoint_s,
        "assurance": f"L{job.assurance}",
    }
    name = job.name.rpartition("/")[2]
    made = _object(API_VERSION, "AIJob", name, namespace=job.institution) | {"spec": spec}
    made["metadata"]["creationTimestamp"] = rfc3339(now_s - (EPOCH_S - job.submitted_s))
    return made


def residency(rule: ResidencyRule) -> dict[str, Any]:
    """Return a rule as it is written."""
    return {"location": _places(rule.location), "legalControl": _places(rule.legal_control)}


def _places(places: PlaceSet) -> dict[str, Any]:
    return {"allow": sorted(places.allow), **_given(deny=sorted(places.deny) or None)}


def _shape(group: Machines) -> dict[str, Any]:
    return {
        "machines": group.count,
        "gpus": group.gpus,
        "gpuClass": group.gpu_class,
        "gpuMemory": f"{group.gpu_memory_bytes // MIB}Mi",
        "cpu": f"{group.cpu_millis}m",
        "memory": f"{group.memory_bytes // MIB}Mi",
    }


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _decimal(micros: int) -> str:
    return f"{micros // MICROS}.{micros % MICROS:06d}"


def _object(api: str, kind: str, name: str, *, namespace: str = "", labels: Any = None) -> Manifest:
    meta: dict[str, Any] = {"name": name}
    meta |= {"namespace": namespace} if namespace else {}
    meta |= {"labels": labels} if labels else {}
    return {"apiVersion": api, "kind": kind, "metadata": meta}
