"""The agent's regular duties: heartbeat, probes, epoch memory, token."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hansa.adapters.kube.mirror import is_number
from hansa.adapters.nameservers import nameservers
from hansa.errors import HansaError, NotFound, Retryable
from hansa.member.cluster import gpu_use, probes, second_lock
from hansa.member.context import AgentContext
from hansa.member.hub_link import identity
from hansa.member.hub_link.identity import HubIdentity
from hansa.member.hub_link.tokens import AsNode, renewal_due_s, renewed
from hansa.model.times import rfc3339_micro
from hansa.reconcile.member.contracts import contact_lease
from hansa.reconcile.member.platform.resolvers import find_resolvers

log = logging.getLogger(__name__)
LEASE = "hansa-node"
LEASE_SECONDS = 40
UNFIT_RETRY_S = 15.0
FORGET_S = 3600.0
FIRST_CANARIES = 5
RENEW_CHECK_S = 60.0
RENEWAL_S = 60.0
HELD_RESULTS_S = 15.0
RECEIPTS_S = 15.0
SHORT_S = 60.0
KEPT_LOGS_S = 600.0
LOGS_S = 2.0
"""Each piece of a log is a write to the hub: no more than one so often for each job that is followed."""
GPU_USE_S = 60.0
"""Use changes all the time and each change is a write to the hub: a minute's grain is enough."""


def spread(pause_s: Callable[[], float], jitter: Callable[[], float]) -> Callable[[], float]:
    """Return a pause that is up to a tenth shorter or longer: many agents must not ask together."""
    return lambda: pause_s() * (0.9 + 0.2 * jitter())


class Duties:
    """Duties that need the context."""

    def __init__(self, context: AgentContext) -> None:
        """``context``: shared state."""
        self._context = context
        self._kept_s: float | None = None
        self._hub_version = 0
        """resourceVersion of the last renewal: it only grows, unless the hub's store went back."""

    async def heartbeat(self) -> None:
        """Renew this node's Lease on the hub; only a success counts as contact."""
        context = self._context
        # Also when it fails: the hub's absence is to be told at home.
        context.dirty.set()
        collection = f"/apis/coordination.k8s.io/v1/namespaces/{context.hub_namespace}/leases"
        sent = context.contact.moment()
        spec = {
            "holderIdentity": context.settings.node,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": rfc3339_micro(context.clock.now()),
        }
        try:
            lease = await context.hub.merge(f"{collection}/{LEASE}", {"spec": spec})
        except NotFound:
            body = {"metadata": {"name": LEASE}, "spec": spec}
            lease = await context.hub.create(collection, body)
        stored = lease.get("spec")
        if not isinstance(stored, dict) or stored.get("renewTime") != spec["renewTime"]:
            raise Retryable("the hub answered a renewal with something else than the Lease")
        context.contact.made(sent)
        meta = lease.get("metadata")
        self._look_back(str(meta.get("resourceVersion", "")) if isinstance(meta, dict) else "")

    def _look_back(self, version: str) -> None:
        """List the grants again where the hub's store is older than it was.

        So it is after a restore. No watch tells that: it waits for versions that are still to come,
        and runs whose grants are gone would not be missed before the next list.
        """
        number = int(version) if is_number(version) else 0
        if number < self._hub_version:
            log.warning("the hub's store has gone back; its grants are listed again")
            self._context.grants.list_again()
        self._hub_version = number

    async def keep_contact(self) -> None:
        """Make the last contact durable: it is what the guard and a restarted agent go by."""
        context, last_s = self._context, self._context.contact.last_s
        if last_s is None or last_s == self._kept_s:
            return
        node, namespace = context.settings.node, context.settings.namespace
        spec = contact_lease.contact_spec(node, last_s)
        try:
            await context.own.merge(contact_lease.lease_path(namespace, node), {"spec": spec})
        except NotFound:
            body = {"metadata": {"name": contact_lease.NAME.format(node)}, "spec": spec}
            await context.own.create(contact_lease.LEASES.format(namespace), body)
        self._kept_s = last_s

    async def canary(self) -> None:
        """See whether the second lock holds."""
        policy = self._context.cluster_state.policy
        found = await second_lock.try_lock(
            self._context.own, policy.spec, self._context.settings.runs.pods()
        )
        if self._context.cluster_state.policy is not policy:
            # Tried by one law and answered by another: it says nothing, and the next trial comes.
            return
        if found != self._context.cluster_state.canary:
            self._context.cluster_state.canary = found
            self._context.dirty.set()

    def canary_pause_s(self) -> float:
        """Return how long to wait before the next trial: less while no work is taken for it."""
        timing, holds = (
            self._context.settings.timing,
            not self._context.cluster_state.canary.trouble,
        )
        return timing.canary_seconds if holds else timing.retry_seconds

    async def first_canary(self) -> None:
        """Try a few times: policies installed a moment ago are not in force yet."""
        for _ in range(FIRST_CANARIES):
            await self.canary()
            if (
                not self._context.cluster_state.canary.trouble
                or self._context.cluster_state.policy.spec is None
            ):
                return
            await asyncio.sleep(self._context.settings.timing.retry_seconds / 2)

    async def kuberay(self) -> None:
        """See which KubeRay there is."""
        context = self._context
        found = await probes.find_kuberay(
            context.own,
            context.settings.limits.kuberay_floor,
            [one.workload.resource.definition for one in context.watched],
        )
        if found != self._context.cluster_state.kuberay:
            self._context.cluster_state.kuberay = found
            self._context.dirty.set()

    def kuberay_pause_s(self) -> float:
        """Return how long to wait before looking again: less while it is unfit."""
        unfit = bool(self._context.cluster_state.kuberay.trouble)
        return UNFIT_RETRY_S if unfit else self._context.settings.timing.resync_seconds

    async def resolver(self) -> None:
        """See where runs ask for names: those that are shut in, and all others."""
        context = self._context
        found = await probes.find_resolver(context.own, context.settings.namespace)
        context.cluster_state.resolver = found
        context.cluster_state.resolvers = find_resolvers(nameservers())

    def resolver_pause_s(self) -> float:
        """Return how long to wait before looking again: less while there is none."""
        found = bool(self._context.cluster_state.resolver)
        return self._context.settings.timing.resync_seconds if found else UNFIT_RETRY_S

    async def volumes(self) -> None:
        """Find the volumes behind the policy's data sets."""
        state = self._context.cluster_state
        sets = state.policy.spec.datasets if state.policy.spec is not None else ()
        found, unusable = await probes.find_volumes(
            self._context.own,
            self._context.settings.namespace,
            sets,
            len(state.inventory({}).machines),
        )
        if (found, unusable) != (state.volumes, state.unusable_data):
            state.volumes, state.unusable_data = found, unusable
            self._context.dirty.set()

    def volumes_pause_s(self) -> float:
        """Return how long to wait before looking again: less while a data set is unusable."""
        unfit = bool(self._context.cluster_state.unusable_data)
        return UNFIT_RETRY_S if unfit else self._context.settings.timing.resync_seconds

    async def devices(self) -> None:
        """Find the cards that only DRA drivers offer."""
        context = self._context
        found = await probes.find_devices(context.own)
        if found is not None and context.cluster_state.put_devices(found):
            context.dirty.set()

    async def gpu_use(self) -> None:
        """Ask the exporters which GPUs are busy, and what others hold of the machines."""
        context = self._context
        pages = await gpu_use.exporter_pages(context.own, context.settings.namespace)
        found = gpu_use.count_busy(pages)
        served = gpu_use.read_served(pages)
        context.gpu_sightings.see(served, context.run_index.only_run_of, context.clock.now())
        has_changed = context.cluster_state.put_others(gpu_use.read_held(pages))
        if has_changed or found != context.cluster_state.busy:
            context.cluster_state.busy = found
            context.dirty.set()

    async def forget(self) -> None:
        """Drop epoch records that nothing can refer to any more."""
        await self._context.epochs.forget(self._context.clock.now())


class Renewal:
    """Renews the token by the token, before it ends. What is no better is not taken for it."""

    def __init__(
        self, context: AgentContext, held: HubIdentity, folder: Path, as_node: AsNode
    ) -> None:
        """``folder``: where the hub client reads its files from."""
        self._context = context
        self._folder = folder
        self._as_node = as_node
        self._spread = context.jitter()
        self.held = held

    @property
    def end_s(self) -> float:
        """When the present token ends."""
        return self.held.token_facts.end_s

    @property
    def due_s(self) -> float:
        """When to renew the present token."""
        fraction = self._context.settings.identity.renew_fraction
        return renewal_due_s(self.held.token_facts, fraction=fraction, spread=self._spread)

    async def check(self) -> None:
        """Renew when it is time."""
        if self._context.clock.now() >= self.due_s:
            await self.renew()

    def pause_s(self) -> float:
        """Return how long to wait before the next look: until it is due, a minute at most."""
        left_s = self.due_s - self._context.clock.now()
        return min(max(left_s, 1.0), RENEW_CHECK_S) if left_s > 0 else RENEW_CHECK_S

    async def renew(self) -> None:
        """Ask for a new token, read and try it, and keep it before using it.

        One that is refused changes nothing but what people are told: the present one goes on.
        """
        context = self._context
        try:
            async with asyncio.timeout(RENEWAL_S):
                token = await renewed(
                    context.hub,
                    self._as_node,
                    node=context.settings.node,
                    held=self.held.token,
                    seconds=context.settings.identity.token_seconds,
                    now_s=context.clock.now(),
                )
        except (HansaError, TimeoutError) as error:
            self._tell(f"the hub gave no usable token: {error}"[:500])
            log.warning("token not renewed", extra={"error": str(error)})
            return
        fresh = replace(self.held, token=token)
        await identity.update(
            context.own, context.settings.namespace, context.settings.identity.secret, fresh
        )
        fresh.write_files(self._folder)
        self.held = fresh
        self._tell("")
        log.info("token renewed", extra={"node": context.settings.node})

    def _tell(self, trouble: str) -> None:
        self._context.renewal_trouble = trouble
        self._context.dirty.set()
