"""Whether the member's second lock holds: every rule is tried, every policy is looked at.

``try_lock`` returns a value and never raises, because "cannot tell" is an answer too, and a
refusing one. A rule holds when it refuses its canary itself: refused by another, it may be gone. Since
one that refuses canaries alone would seem to hold, each spec is compared with the digest of what the
chart made of it, which stands beside it: so both change at once, and an upgrade is no alarm.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.api.meta import GROUP, JOB_UID_LABEL
from hansa.errors import Conflict, HansaError, Terminal
from hansa.member.cluster.cluster_state import Canary
from hansa.ports import Cluster, Manifest
from hansa.reconcile.member import canaries
from hansa.reconcile.member.canaries import KnownBad
from hansa.reconcile.member.platform.pod_settings import PodSettings

POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
DIGEST = f"{GROUP}/spec-digest"
"""Annotation: SHA-256 of the spec as JSON, keys in order, as the chart's template hansa.lock.part writes it."""
FILLED_IN = (("matchPolicy", "Equivalent"), ("scope", "*"))
"""What the API server puts where a spec says nothing, besides what is empty."""
FORBIDDEN = 403
CONCURRENT = 4
MAX_MESSAGE = 900
ADVICE = (
    "delete the policies and bindings named here, and `helm upgrade --reset-then-reuse-values` of the member's"
    " chart restores the lock"
)
"""An upgrade alone leaves in place what somebody added to one."""


async def try_lock(
    cluster: Cluster, law: MemberPolicySpec | None, settings: PodSettings | None = None
) -> Canary:
    """Offer every canary as a dry run and read the policies.

    1. Is there a law? Without one the lock refuses everything. 2. What does it admit? 3. What is
    switched off? 4. What could not be told?
    """
    if law is None:
        return Canary("NotRun", "the second lock is tried once there is a MemberPolicy named local")
    room = asyncio.Semaphore(CONCURRENT)
    tried = canaries.known_bad(law, settings)
    heard = await asyncio.gather(*(_offer(cluster, canary, room) for canary in tried))
    read = await asyncio.gather(*(_look(cluster, name, room) for name in canaries.POLICIES))
    outcomes = dict(zip((canary.rule for canary in tried), heard, strict=True))
    admitted = sorted(rule for rule, why in outcomes.items() if why is None)
    weakened = sorted(why for why in read if why)
    unclear = sorted(f"{rule}: {why}" for rule, why in outcomes.items() if why)
    if admitted or weakened:
        rules = [f"admitted is what these rules refuse: {', '.join(admitted)}"] if admitted else []
        return Canary("Admitted", "; ".join([ADVICE, *rules, *weakened])[:MAX_MESSAGE])
    if unclear:
        said = f"{len(unclear)} rules of the second lock could not be tried: {'; '.join(unclear)}"
        return Canary("NotRun", said[:MAX_MESSAGE])
    return Canary("Denied", "")


async def _offer(cluster: Cluster, canary: KnownBad, room: asyncio.Semaphore) -> str | None:
    """Return nothing when the rule itself refused, None when it was admitted, else what happened."""
    mark = canary.rule if canary.rule == "PodSecurity" else f"[{canary.rule}]"
    async with room:
        try:
            await cluster.create(f"{canary.path}?dryRun=All", canary.body)
        except Conflict as error:
            return f"an object of that name is in the way: {error}"
        except HansaError as error:
            is_denial = isinstance(error, Terminal) and error.status == FORBIDDEN
            return "" if is_denial and mark in str(error) else str(error)[:200]
    return None


async def _look(cluster: Cluster, name: str, room: asyncio.Semaphore) -> str:
    """Return what is wrong with a policy or its binding; nothing when all is well."""
    async with room:
        try:
            policy = await cluster.get(f"{POLICIES}/{name}")
            binding = await cluster.get(f"{BINDINGS}/{name}")
        except HansaError as error:
            return f"{name} cannot be read: {error}"
    return _weakness(name, policy, binding)


def _weakness(name: str, whole_policy: Manifest, whole_binding: Manifest) -> str:
    policy, binding = whole_policy.get("spec") or {}, whole_binding.get("spec") or {}
    param = binding.get("paramRef") or {}
    conditions = len(policy.get("matchConditions") or ())
    runs = {"matchExpressions": [{"key": JOB_UID_LABEL, "operator": "Exists"}]}
    wanted = {} if name in canaries.EVERYWHERE else {"namespaceSelector": runs}
    faults = {
        "failurePolicy is not Fail": policy.get("failurePolicy") != "Fail",
        "matchConditions exempt somebody": conditions != (name in canaries.CONFINED),
        "the binding does not deny": "Deny" not in (binding.get("validationActions") or ()),
        "the binding is of another policy": binding.get("policyName") != name,
        "matchConstraints pass over some objects": _spared(policy.get("matchConstraints")) != {},
        "the binding passes over some objects": _spared(binding.get("matchResources")) != wanted,
        "the binding does not read the law": canaries.POLICIES[name]
        and param != {"name": "local", "parameterNotFoundAction": "Deny"},
        "it is not as the chart made it": not _is_as_made(whole_policy),
        "the binding is not as the chart made it": not _is_as_made(whole_binding),
    }
    return ", ".join(f"{name}: {fault}" for fault, is_so in faults.items() if is_so)


def _spared(matching: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what narrows a match, besides the rules it is made of."""
    narrowing = ("namespaceSelector", "objectSelector", "excludeResourceRules")
    found = {part: (matching or {}).get(part) for part in narrowing}
    return {part: value for part, value in found.items() if value}


def _is_as_made(thing: Manifest) -> bool:
    """Tell whether a spec is the one that its digest is of."""
    said = (thing["metadata"].get("annotations") or {}).get(DIGEST)
    text = orjson.dumps(_as_written(thing.get("spec")), option=orjson.OPT_SORT_KEYS)
    return bool(said == hashlib.sha256(text).hexdigest())


def _as_written(value: Any) -> Any:
    """Return a spec without what the API server fills in: nothing empty there lets anything pass."""
    if isinstance(value, Mapping):
        held = ((key, _as_written(one)) for key, one in value.items())
        return {
            key: one
            for key, one in held
            if one not in ({}, [], None) and (key, one) not in FILLED_IN
        }
    return [_as_written(one) for one in value] if isinstance(value, list) else value
