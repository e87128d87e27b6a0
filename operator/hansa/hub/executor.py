"""Turns actions into requests. The only place in the hub that does I/O and catches API errors.

Before each write it asks whether this replica still leads. A conflict means that our view is old:
the rest of the batch is dropped and the key derived again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hansa.adapters.kube.tokens import request_token
from hansa.adapters.sealing import seal
from hansa.api.kinds import AIJOB, COMPUTEPOOL, SOVEREIGNNODE, WORKGRANT
from hansa.api.meta import API_VERSION, LOG_REQUEST_ANNOTATION, NODE_ACCOUNT
from hansa.api.workgrant import GIVEN_UP_ANNOTATION
from hansa.errors import Conflict, HansaError, NotFound, Retryable, Terminal
from hansa.grants.envelope import grant_name
from hansa.hub.caches import Caches
from hansa.hub.events import event_of
from hansa.hub.grant_manifest import grant_manifest
from hansa.observability import metrics as m
from hansa.observability.instruments import Instruments
from hansa.observability.recorder import EventRecorder
from hansa.ports import Clock, Cluster, Manifest, Signer
from hansa.reconcile.hub import actions as do
from hansa.reconcile.hub.node_access import (
    KEY_ANNOTATION,
    MANAGER,
    access_manifests,
    access_paths,
    account_path,
    holds,
    namespace_of,
)
from hansa.reconcile.hub.node_identity import Rights

log = logging.getLogger(__name__)

CONFLICT_AFTER_S = 0.2
TERMINAL_AFTER_S = 30.0
LAPSED_AFTER_S = 0.5


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How a batch went. ``retry_after_s`` None: all is done, no need to come back."""

    ok: bool
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """By whose key every grant is signed, and the settings it is made with, in seconds."""

    signer: Signer
    validity_s: float
    skew_s: float


class Executor:
    """Runs batches of actions, in order, until one fails."""

    def __init__(
        self,
        cluster: Cluster,
        caches: Caches,
        *,
        clock: Clock,
        terms: GrantTerms,
        still_leader: Callable[[], bool],
        recorder: EventRecorder,
        instruments: Instruments,
    ) -> None:
        """``still_leader`` is asked before each write."""
        self._cluster = cluster
        self._caches = caches
        self._clock = clock
        self._terms = terms
        self._still_leader = still_leader
        self._recorder = recorder
        self._instruments = instruments
        self._handlers: dict[type, Callable[[Any], Awaitable[None]]] = {
            do.SetJobStatus: self._set_job_status,
            do.WriteGrant: self._write_grant,
            do.CancelGrant: self._cancel_grant,
            do.AskForLog: self._ask_for_log,
            do.CancelOrphan: self._cancel_orphan,
            do.DeleteGrant: self._delete_grant,
            do.DeleteOrphan: self._delete_orphan,
            do.DeleteJob: self._delete_job,
            do.SetFinalizers: self._set_finalizers,
            do.SetNodeStatus: self._set_node_status,
            do.SetPoolStatus: self._set_pool_status,
            do.EnsureNodeAccess: self._ensure_access,
            do.RevokeNodeAccess: self._revoke_access,
            do.SealToken: self._seal_token,
        }

    async def run(self, actions: Iterable[do.Action]) -> BatchResult:
        """Run a batch; never raises a Hansa error."""
        later_s: float | None = None
        for action in actions:
            if isinstance(action, do.EmitEvent):
                self._recorder.emit(event_of(action))
                continue
            if isinstance(action, do.RequeueAfter):
                later_s = action.after_s
                continue
            if not self._still_leader():
                # The lease may only have lapsed, and be renewed with nobody told: come back.
                return BatchResult(ok=False, retry_after_s=LAPSED_AFTER_S)
            failure = await self._attempt(action)
            if failure is not None:
                return failure
        return BatchResult(ok=True, retry_after_s=later_s)

    async def _attempt(self, action: do.Action) -> BatchResult | None:
        name, outcome, after_s = type(action).__name__, "ok", 0.0
        try:
            await self._handlers[type(action)](action)
        except Conflict as error:
            outcome, after_s = "conflict", CONFLICT_AFTER_S
            log.debug("write conflicts action=%s error=%s", name, error)
        except Retryable as error:
            outcome, after_s = "retryable", error.after_s
            log.warning("write failed action=%s error=%s", name, error)
        except (NotFound, Terminal, HansaError) as error:
            outcome, after_s = "terminal", TERMINAL_AFTER_S
            log.warning("write refused action=%s error=%s", name, error)
        verb, resource = _LABELS[type(action)]
        self._instruments.add(m.API_WRITES, verb=verb, resource=resource, outcome=outcome)
        return None if outcome == "ok" else BatchResult(ok=False, retry_after_s=after_s)

    async def _set_job_status(self, action: do.SetJobStatus) -> None:
        # No patch of any kind: the hub is the one writer and has read the whole (ADR 0020).
        read = self._caches.jobs.get(action.uid)
        if read is None or read["metadata"]["resourceVersion"] != action.resource_version:
            raise Conflict(f"{action.namespace}/{action.name} has changed meanwhile")
        path = AIJOB.path(action.namespace, action.name) + "/status"
        body = {**read, "status": dict(action.status)}
        self._caches.jobs.put(await self._cluster.replace(path, body))

    async def _write_grant(self, action: do.WriteGrant) -> None:
        body = grant_manifest(
            action,
            self._terms.signer,
            now_s=self._clock.now(),
            validity_s=self._terms.validity_s,
            skew_s=self._terms.skew_s,
        )
        space = namespace_of(action.node)
        try:
            made = await self._cluster.create(WORKGRANT.path(space), body)
        except Conflict:
            # The epoch has its grant already: the very one to keep, whoever wrote it.
            name = grant_name(action.job_uid, action.epoch)
            made = await self._cluster.get(WORKGRANT.path(space, name))
        self._caches.grants.put(made)
        self._instruments.add(m.GRANTS_WRITTEN, node=action.node)

    async def _cancel_grant(self, action: do.CancelGrant) -> None:
        noted = {"annotations": {GIVEN_UP_ANNOTATION: "true"}} if action.is_given_up else {}
        body = {"metadata": {"uid": action.uid, **noted}, "spec": {"cancel": "Stop"}}
        path = WORKGRANT.path(action.namespace, action.name)
        self._caches.grants.put(await self._cluster.merge(path, body))

    async def _ask_for_log(self, action: do.AskForLog) -> None:
        asked = {LOG_REQUEST_ANNOTATION: action.request or None}
        body = {"metadata": {"uid": action.uid, "annotations": asked}}
        path = WORKGRANT.path(action.namespace, action.name)
        self._caches.grants.put(await self._cluster.merge(path, body))

    async def _cancel_orphan(self, action: do.CancelOrphan) -> None:
        if await self._is_orphan(action):
            grant = do.CancelGrant(action.namespace, action.name, action.uid, "its AIJob is gone")
            await self._cancel_grant(grant)

    async def _delete_orphan(self, action: do.DeleteOrphan) -> None:
        if await self._is_orphan(action):
            await self._delete_grant(do.DeleteGrant(action.namespace, action.name, action.uid))

    async def _is_orphan(self, action: do.CancelOrphan | do.DeleteOrphan) -> bool:
        job = await self._present(action.job_path)
        if job and job["metadata"]["uid"] == action.job_uid:
            self._caches.jobs.put(job)
            return False
        return True

    async def _delete_grant(self, action: do.DeleteGrant) -> None:
        await self._cluster.delete(WORKGRANT.path(action.namespace, action.name), uid=action.uid)

    async def _delete_job(self, action: do.DeleteJob) -> None:
        await self._cluster.delete(AIJOB.path(action.namespace, action.name), uid=action.uid)

    async def _set_finalizers(self, action: do.SetFinalizers) -> None:
        body = {
            "metadata": {
                "uid": action.uid,
                "resourceVersion": action.resource_version,
                "finalizers": list(action.finalizers),
            }
        }
        path = AIJOB.path(action.namespace, action.name)
        answer = await self._cluster.merge(path, body)
        if "deletionTimestamp" not in answer["metadata"]:
            self._caches.jobs.put(answer)

    async def _set_node_status(self, action: do.SetNodeStatus) -> None:
        path = SOVEREIGNNODE.path(name=action.name) + "/status"
        body = _status_body("SovereignNode", action)
        self._caches.nodes.put(await self._cluster.apply(path, body, manager=MANAGER))

    async def _set_pool_status(self, action: do.SetPoolStatus) -> None:
        path = COMPUTEPOOL.path(name=action.name) + "/status"
        body = _status_body("ComputePool", action)
        self._caches.pools.put(await self._cluster.apply(path, body, manager=MANAGER))

    async def _ensure_access(self, action: do.EnsureNodeAccess) -> None:
        self._caches.access.pop(action.node, None)
        await self._end_other_tokens(action.node, action.key)
        for path, body in access_manifests(action.node, action.key):
            # To read costs the API server a tenth: a new leader finds most of it done.
            if not holds(await self._present(path), body):
                await self._cluster.apply(path, body, manager=MANAGER)
        self._caches.access[action.node] = Rights(account=True, roles=True, key=action.key)

    async def _present(self, path: str) -> Manifest:
        try:
            return await self._cluster.get(path)
        except NotFound:
            return {}

    async def _end_other_tokens(self, node: str, key: str) -> None:
        """Remove an account whose tokens were sealed to another key: they end with it."""
        meta = (await self._present(account_path(node))).get("metadata")
        if meta and (meta.get("annotations") or {}).get(KEY_ANNOTATION) != key:
            await self._cluster.delete(account_path(node), uid=meta["uid"])

    async def _revoke_access(self, action: do.RevokeNodeAccess) -> None:
        self._caches.access.pop(action.node, None)  # first: half of it gone is not access either
        path = SOVEREIGNNODE.path(name=action.node)
        if self._caches.nodes.get(action.node) is None and await self._present(path):
            raise Conflict(
                f"{action.node} has been made anew, and another leader may have given it rights"
            )
        for path in reversed(access_paths(action.node)):
            await self._cluster.delete(path)
        if action.account:
            await self._cluster.delete(account_path(action.node))
        self._caches.access[action.node] = Rights(account=not action.account, roles=False)

    async def _seal_token(self, action: do.SealToken) -> None:
        token, end = await request_token(
            self._cluster, namespace_of(action.node), NODE_ACCOUNT, seconds=action.seconds
        )
        sealed = seal(token, action.key, node=action.node)
        status = {"identity": {"key": action.key, "sealed": sealed, "notAfter": end}}
        body = _status_body("SovereignNode", do.SetNodeStatus(action.node, action.uid, status))
        # Applied under a name of its own: the conditions are another apply of the same status.
        path = SOVEREIGNNODE.path(name=action.node) + "/status"
        answer = await self._cluster.apply(path, body, manager=f"{MANAGER}-identity")
        self._caches.nodes.put(answer)
        log.info("token sealed node=%s until=%s", action.node, end)


def _status_body(kind: str, action: do.SetNodeStatus | do.SetPoolStatus) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": action.name, "uid": action.uid},
        "status": dict(action.status),
    }


_LABELS: dict[type, tuple[str, str]] = {
    do.SetJobStatus: ("patch", "aijobs/status"),
    do.WriteGrant: ("create", "workgrants"),
    do.CancelGrant: ("patch", "workgrants"),
    do.AskForLog: ("patch", "workgrants"),
    do.CancelOrphan: ("patch", "workgrants"),
    do.DeleteGrant: ("delete", "workgrants"),
    do.DeleteOrphan: ("delete", "workgrants"),
    do.DeleteJob: ("delete", "aijobs"),
    do.SetFinalizers: ("patch", "aijobs"),
    do.SetNodeStatus: ("apply", "sovereignnodes/status"),
    do.SetPoolStatus: ("apply", "computepools/status"),
    do.EnsureNodeAccess: ("apply", "roles"),
    do.RevokeNodeAccess: ("delete", "roles"),
    do.SealToken: ("create", "serviceaccounts/token"),
}
