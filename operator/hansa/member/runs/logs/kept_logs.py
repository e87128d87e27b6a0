"""Keeps logs of runs that are over, for as long as the settings say, and gives them out as far as the law lets it.

The wish comes as it does while a run writes: with the grant, which the hub keeps for as long. Nothing is given out
that the law of this moment forbids, whatever it was when the run ended.
"""

from __future__ import annotations

import asyncio
import logging

from hansa.errors import HansaError, NotFound
from hansa.grants.envelope import workload_name
from hansa.grants.exports.permits import Subject, exportable
from hansa.grants.shape import claimed
from hansa.member.context import AgentContext
from hansa.member.runs.logs.log_request import request_of
from hansa.member.state.run_index import Entry
from hansa.model.log_request import LogRequest
from hansa.model.times import rfc3339
from hansa.ports import Manifest
from hansa.reconcile.member.logs import kept_log
from hansa.reconcile.member.logs.kept_log import KeptLog
from hansa.reconcile.member.logs.log_scan import LogScan

log = logging.getLogger(__name__)
MOST_READ = 16
"""Logs held in memory, decompressed, for those who read them now."""


class KeptLogs:
    """The Secrets of kept logs, for this agent."""

    def __init__(self, context: AgentContext) -> None:
        """``context``: shared state."""
        self._context = context
        self._read: dict[str, KeptLog] = {}
        self._writing = asyncio.Lock()
        """What makes room for a log must be what was read last."""

    async def keep(self, entry: Entry, scan: LogScan) -> Manifest:
        """Make the end of a log durable and return the status field that says so; empty: none is kept."""
        context, spec, settings = self._context, entry.spec, self._context.settings.logs
        scan = scan.without(scan.end, settings.keep_bytes)
        kept = KeptLog(
            run=entry.name,
            institution=spec.institution,
            datasets=tuple(source.name for source in spec.job_spec.data),
            start=scan.start,
            text=scan.kept,
            until_s=context.clock.now() + settings.keep_seconds,
        )
        place = kept_log.path(context.settings.namespace, entry.name)
        try:
            async with self._writing:
                secret = await context.own.get(place)
                patch = kept_log.addition(secret, kept, context.clock.now())
                await context.own.merge(place, patch)
        except HansaError as error:
            log.warning("log not kept", extra={"run": entry.name, "error": str(error)})
            return {}
        told = {"start": kept.start, "end": kept.end, "until": rfc3339(kept.until_s)}
        return {"keptLog": told}

    async def look(self) -> None:
        """Send the next piece of each kept log that somebody reads."""
        wishes = {grant["metadata"]["name"]: grant for grant in self._grants()}
        asked = {run for grant in wishes.values() if (run := _run(grant)) and self._wish(grant)}
        for gone in self._read.keys() - asked:
            del self._read[gone]
        for name, grant in wishes.items():
            try:
                await self._serve(name, grant)
            except HansaError as error:
                log.info("kept log not sent", extra={"grant": name, "error": str(error)})

    async def sweep(self) -> None:
        """Delete what has had its time or has no grant any more, and tell of what made room for others."""
        context = self._context
        if not context.grants.synced:
            return
        now_s, kept, grants = context.clock.now(), set[str](), self._grants()
        wanted = {*map(_run, context.grants.values()), *context.run_index.names()}
        for place in kept_log.paths(context.settings.namespace):
            try:
                secret = await context.own.get(place)
            except NotFound:
                continue
            kept |= kept_log.runs_in(secret, now_s)
            patch = kept_log.removal(secret, now_s, wanted)
            if patch is not None:
                await context.own.merge(place, patch)
        for grant in grants:
            if _run(grant) not in kept:
                await self._tell(grant["metadata"]["name"], {"keptLog": None, "log": None})

    async def _serve(self, name: str, grant: Manifest) -> None:
        wish, shown = self._wish(grant), grant["status"].get("log")
        if wish is None:
            if isinstance(shown, dict) and shown.get("state") != "Ended":
                await self._tell(name, {"log": None})
            return
        run = _run(grant)
        kept = self._read.get(run) or await self._find(run)
        if kept is None or kept.until_s <= self._context.clock.now():
            await self._tell(name, {"keptLog": None, "log": None})
            return
        subject = Subject(kept.institution, kept.datasets)
        may = exportable(subject, self._context.cluster_state.policy.spec)
        piece = kept.piece(wish.start).wire() if may.shows_log else None
        if piece != shown:
            await self._tell(name, {"log": piece})

    async def _find(self, run: str) -> KeptLog | None:
        context = self._context
        try:
            secret = await context.own.get(kept_log.path(context.settings.namespace, run))
        except NotFound:
            return None
        found = kept_log.read(secret, run, context.clock.now())
        if found is not None and len(self._read) < MOST_READ:
            self._read[run] = found
        return found

    async def _tell(self, name: str, status: Manifest) -> None:
        await self._context.tell_hub(name, {"status": status})

    def _grants(self) -> list[Manifest]:
        """Return the grants of runs that are over and whose logs are kept."""
        return [
            grant
            for grant in self._context.grants.values()
            if (grant.get("status") or {}).get("keptLog") and grant["status"].get("release")
        ]

    def _wish(self, grant: Manifest) -> LogRequest | None:
        return request_of(self._context, grant, claimed(grant.get("spec") or {})[1])


def _run(grant: Manifest) -> str:
    return workload_name(*claimed(grant.get("spec") or {}))
