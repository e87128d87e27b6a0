"""Makes and deletes the objects of a run on the member's cluster, and reads its output."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.api.meta import EPOCH_LABEL, JOB_UID_LABEL
from hansa.errors import Conflict, HansaError, NotFound, Retryable, Terminal
from hansa.grants.capacity import fitting_classes
from hansa.grants.epochs import BEGUN
from hansa.grants.exports.permits import shut_in
from hansa.grants.reasons import Objection
from hansa.grants.trust import read
from hansa.member.cluster.cluster_state import NO_RESOLVER
from hansa.member.cluster.probes import find_resolver
from hansa.member.context import AgentContext
from hansa.member.runs.checkpoint_volumes import CheckpointVolumes
from hansa.member.runs.pods import machines
from hansa.member.runs.site_objects import SiteObjects
from hansa.member.runs.situations import phase_at_server
from hansa.member.state.run_index import Entry
from hansa.ports import Manifest
from hansa.reconcile.member import data
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.contracts.time_limits import alive_until_s
from hansa.reconcile.member.end_reasons import EndReason, explain
from hansa.reconcile.member.inventory.lost_machines import machines_of
from hansa.reconcile.member.outgoing import LEFT_OUT, refusal
from hansa.reconcile.member.run_namespace import RECORD_KEY, waves
from hansa.reconcile.member.run_request import (
    GPU_CLASS_LABEL,
    RECORD,
    Creation,
    RenderOptions,
    RunRequest,
    lawful_places,
)
from hansa.reconcile.member.workload import (
    Autopsy,
    DeadPod,
    Finding,
    Output,
    Traces,
    WorkloadView,
)

MOST_LOG_BYTES = 1 << 20
POD_LINES, POD_BYTES = (40, 20, 10, 7, 6, 5, 4, 3, 2, 1), 65_536
"""Of a container that ended; the limit cuts the end off, and a progress bar is one line: then fewer are asked for."""
LIMIT_SLACK_BYTES = 4096
"""``limitBytes`` may return slightly less than it says."""


@dataclass(frozen=True, slots=True)
class LogSource:
    """The container whose log is the run's."""

    pod: str
    """Path of the pod."""
    container: str
    own_lines: int
    mark: str


class RunObjects:
    """Acts on the member's cluster, on behalf of accepted grants only."""

    def __init__(self, context: AgentContext) -> None:
        """``context``: shared state."""
        self._context = context
        self._home = SiteObjects(context.own, context.settings.namespace)
        rules = context.settings.runs.checkpoint_rules()
        self.checkpoints = CheckpointVolumes(context.own, context.clock, rules)

    def with_class(self, entry: Entry) -> Entry:
        """Choose a GPU class for a run that an earlier process accepted; there may be none."""
        if entry.gpu_class or not entry.gpus:
            return entry
        index = self._context.run_index
        stock = self._context.cluster_state.inventory(index.held).stock
        for gpu_class in fitting_classes(entry.spec.job_spec, stock)[:1]:
            index.choose_class(entry.name, gpu_class)
            return replace(entry, gpu_class=gpu_class)
        return entry

    async def build(self, entry: Entry) -> None:
        """Make what is missing of a run; raises ``Terminal`` or ``NotFound`` when it cannot be.

        What has begun gets no namespace anew: where that is gone, somebody has ended the run.
        """
        watched = self._context.watched_for(entry)
        if watched is None:
            raise Terminal(explain(EndReason.NOT_SERVED))
        (home,), fences, (work,) = waves(await self._run_request(entry), watched.workload)
        # What is made is taken in before the watch tells: a look at the run in between would not see it.
        if not self._context.has_begun(entry):
            self._context.namespaces.absorb(await self._made(home))
        await asyncio.gather(self._begin(entry), *(self._create(one) for one in fences))
        watched.objects.absorb(await self._made(work))
        self._context.made.add(entry.name)

    async def _begin(self, entry: Entry) -> None:
        """Make durable that a run begins, before what does its work is made."""
        epochs = self._context.epochs
        known = epochs.records.get(entry.uid, entry.epoch)
        if known is not None and not known.begun:
            await epochs.put((replace(known, reason=BEGUN),))
        if not self._context.has_begun(entry):
            raise Retryable("the epoch has ended meanwhile")

    async def why_not_made(self, entry: Entry, error: HansaError) -> tuple[EndReason, str]:
        """Return why a run could not be made: what somebody deletes meanwhile is not its node's fault."""
        if (
            self._context.has_begun(entry)
            and await phase_at_server(self._context, entry.name) != "Active"
        ):
            return EndReason.DELETED, ""
        return EndReason.RENDER_FAILED, str(error)

    async def clean_up(self, name: str) -> None:
        """Delete a run: its namespace, and the volumes that only it used. Data is not touched."""
        await self._context.own.delete(f"/api/v1/namespaces/{name}")
        await self.remove_volumes(name)

    async def remove_volumes(self, name: str) -> None:
        """Delete the volumes that only this run used."""
        entry = self._context.run_index.get(name)
        sets = {source.name for source in entry.spec.job_spec.data} if entry is not None else ()
        volumes = [f"{data.VOLUMES}/{name}-{dataset}" for dataset in sets]
        if entry is None:
            volumes = await self._volumes_of(name)
        await asyncio.gather(*(self._context.own.delete(path) for path in volumes))

    async def recall(self, name: str) -> Entry | None:
        """Return a run from the record in its namespace; None when there is none to be read."""
        path = f"/api/v1/namespaces/{name}/configmaps/{RECORD}"
        try:
            record = await self._context.own.get(path)
            wire = json.loads((record.get("data") or {})[RECORD_KEY])
        except (NotFound, KeyError, ValueError):
            return None
        proposal = read(wire) if isinstance(wire, dict) else None
        if proposal is None or isinstance(proposal, Objection):
            return None
        digest = hashlib.sha256(proposal.message).hexdigest()[:16]
        namespace = self._context.namespaces.get(name) or {"metadata": {}}
        labels = namespace["metadata"].get("labels") or {}
        entry = Entry(proposal.spec, wire, digest, str(labels.get(GPU_CLASS_LABEL, "")))
        return entry if entry.name == name else None

    async def given_up(
        self, entry: Entry, view: WorkloadView | None, ended_s: float
    ) -> EndReason | None:
        """Return why a failure is not the job's: nobody told its pods in time that they may live.

        A machine that was cut off had an older file than the API server has. There the word of the
        pods counts, which a job can forge: before any file can be stale it is the node's fault, for
        which a job is tried a few times only.
        """
        until_s = alive.read_until(await self._file(entry.name))
        if until_s is not None and ended_s >= until_s:
            return EndReason.UNATTENDED
        if view is None or not view.gave_up:
            return None
        contract, skew_s = self._context.contract(entry), self._context.settings.limits
        validity_s = self._context.noted(entry.name).validity_s
        soonest_s = contract.granted_s + validity_s - skew_s.clock_skew_seconds
        return EndReason.UNATTENDED if ended_s >= soonest_s else EndReason.NEVER_STARTED

    async def begun(self, name: str) -> float | None:
        """Return since when a run runs, by what the guard has noted; None: nobody saw its command begin."""
        return alive.read_begun(await self._file(name))

    async def _file(self, name: str) -> Manifest | None:
        with contextlib.suppress(NotFound):
            return await self._context.own.get(f"/api/v1/namespaces/{name}/configmaps/{alive.NAME}")
        return None

    async def diagnose(
        self, entry: Entry, end: EndReason, ended_s: float, view: WorkloadView | None = None
    ) -> tuple[Finding, Autopsy]:
        """Return why a run ended or did not begin, by its pods and what happened to them; and which died."""
        watched = self._context.watched_for(entry)
        if watched is None or end is EndReason.SUCCEEDED:
            return Finding(end), Autopsy()
        core = f"/api/v1/namespaces/{entry.name}"
        pods = await self._context.own.list(f"{core}/pods")
        events = await self._context.own.list(f"{core}/events")
        workers = entry.spec.job_spec.ray.worker_pods(entry.spec.workers)
        refused, is_held = (view.refused, view.is_held) if view else ("", False)
        away = await machines.away(self._context, machines_of(pods.items))
        found = (pods.items, events.items, workers, ended_s, refused)
        has_begun = bool(view and view.started)
        traces = Traces(*found, is_held=is_held, away=away, has_begun=has_begun)
        return watched.workload.diagnose(end, traces), watched.workload.autopsy(traces)

    async def last_words(self, entry: Entry, pod: DeadPod) -> str:
        """Return the last lines of a container that ended; empty: it has none, or they cannot be read."""
        if not pod.container:
            return ""
        path = f"/api/v1/namespaces/{entry.name}/pods/{pod.pod}/log"
        asked = {"container": pod.container, "limitBytes": str(POD_BYTES)}
        asked |= {"previous": "true"} if pod.previous else {}
        try:
            for lines in POD_LINES:
                text = await self._context.own.text(path, asked | {"tailLines": str(lines)})
                if len(text.encode()) < POD_BYTES - LIMIT_SLACK_BYTES:
                    return text
        except HansaError:
            return ""
        return LEFT_OUT

    async def read_output(self, entry: Entry) -> Output:
        """Return the work's last lines and declared result, from the log that holds them."""
        watched, source = self._context.watched_for(entry), await self.log_source(entry)
        if watched is None or source is None:
            return Output(is_there=False)
        tail = self._context.settings.rendering.log_tail_lines + source.own_lines
        log, is_cut = await self.last_lines(source, tail)
        if not is_cut:
            return watched.workload.output(log)
        # A progress bar is a line without end; the result is the work's last line all the same.
        log, misses_result = await self.last_lines(source, source.own_lines + 1)
        result = None if misses_result else watched.workload.output(log).result
        return Output(result=result, is_cut=True)

    async def log_source(self, entry: Entry) -> LogSource | None:
        """Return where a run's log stands; None: nowhere yet, or its kind of work has none."""
        watched = self._context.watched_for(entry)
        source = watched.workload.output_source if watched is not None else None
        if source is None:
            return None
        collection = f"/api/v1/namespaces/{entry.name}/pods"
        page = await self._context.own.list(collection, labels=source.labels)
        if not page.items:
            return None
        newest = max(page.items, key=lambda pod: pod["metadata"].get("creationTimestamp") or "")
        pod = f"{collection}/{newest['metadata']['name']}"
        return LogSource(pod, source.container, source.own_lines, source.mark)

    async def last_lines(self, source: LogSource, lines: int, **more: str) -> tuple[str, bool]:
        """Return the last lines of a log, and whether they are too long to be read; ``more``: of the question."""
        return await self.read_log(
            source, lambda most: {"tailLines": str(lines), "limitBytes": str(most), **more}
        )

    async def read_log(
        self, source: LogSource, query: Callable[[int], Mapping[str, str]]
    ) -> tuple[str, bool]:
        """Return a piece of a log, and whether it ends only because more would be too much."""
        asked = {**query(MOST_LOG_BYTES), "container": source.container}
        log = await self._context.own.text(f"{source.pod}/log", asked)
        # The limit cuts the end off, and what was cut may look whole.
        return log, len(log.encode()) >= MOST_LOG_BYTES - LIMIT_SLACK_BYTES

    async def _run_request(self, entry: Entry) -> RunRequest:
        context = self._context
        policy = context.cluster_state.policy.spec
        if policy is None:
            raise Retryable(f"no policy to render under: {context.cluster_state.policy.problem}")
        inventory = context.cluster_state.inventory(context.run_index.held)
        rendering, contract = context.settings.rendering, context.contract(entry)
        pods = context.settings.runs.pods()
        return RunRequest(
            grant=entry.spec,
            wire=entry.wire,
            policy=policy,
            gpu_class=entry.gpu_class,
            cards=inventory.choice(entry.gpu_class) if entry.gpu_class else None,
            places=lawful_places(entry.spec, policy, inventory.jurisdictions()),
            left=context.left_machines.of(entry.uid),
            volumes=self._volumes(entry),
            secrets=await self._secrets(entry),
            pull_secrets=await self._home.pull_secrets(pods),
            authorities=await self._home.authorities(pods)
            if policy.egress or entry.spec.job_spec.runtime_env
            else "",
            resolver=await self._resolver(entry, policy),
            contract=contract,
            now_s=context.clock.now(),
            alive_until_s=alive_until_s(contract, context.contact.last_s or 0.0),
            lending=await self.checkpoints.lend(entry.name, len(inventory.machines)),
            options=RenderOptions(
                checkpoints=context.settings.runs.checkpoint_rules(),
                pods=pods,
                resolvers=context.settings.runs.resolvers() or context.cluster_state.resolvers,
                kuberay_namespace=rendering.kuberay_namespace,
                agent_namespace=context.settings.namespace,
                machines=context.cluster_state.rules,
            ),
        )

    def _volumes(self, entry: Entry) -> dict[str, Mapping[str, Any]]:
        held = self._context.cluster_state.volumes
        wanted = [source.name for source in entry.spec.job_spec.data]
        missing = [name for name in wanted if name not in held]
        if missing:
            raise Terminal(f"no volume for data set {', '.join(missing)}")
        return {name: held[name] for name in wanted}

    async def _secrets(self, entry: Entry) -> dict[str, dict[str, str]]:
        path = f"/api/v1/namespaces/{self._context.settings.namespace}/secrets"
        found = {}
        for use in entry.spec.job_spec.secrets:
            secret = await self._context.own.get(f"{path}/{use.name}")
            found[use.name] = dict(secret.get("data") or {})
        return found

    async def _resolver(self, entry: Entry, policy: MemberPolicySpec) -> str:
        """Return the address of the resolver that a shut-in run may ask."""
        if not shut_in(entry.spec.job_spec, policy):
            return ""
        address = await find_resolver(self._context.own, self._context.settings.namespace)
        if not address:
            raise Retryable(NO_RESOLVER)
        return address

    async def _made(self, creation: Creation) -> Manifest:
        """Make an object; returns it as it stands, whoever made it."""
        made = await self._create(creation)
        return made or await self._context.own.get(
            f"{creation.path}/{creation.body['metadata']['name']}"
        )

    async def _create(self, creation: Creation) -> Manifest | None:
        try:
            return await self._context.own.create(creation.path, creation.body)
        except Conflict:
            return None
        except Terminal as error:
            raise Terminal(refusal(str(creation.body.get("kind")), error)) from error

    async def _volumes_of(self, name: str) -> list[str]:
        namespace = self._context.namespaces.get(name) or {"metadata": {}}
        labels = namespace["metadata"].get("labels") or {}
        chosen = ",".join(f"{key}={labels[key]}" for key in (JOB_UID_LABEL, EPOCH_LABEL))
        page = await self._context.own.list(data.VOLUMES, labels=chosen)
        return [f"{data.VOLUMES}/{volume['metadata']['name']}" for volume in page.items]
