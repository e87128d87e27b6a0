"""Sends on what a driver writes while its owner follows it, a piece at a time, as far as the institution's law lets it.

Nobody calls the agent: the wish comes with the grant, and the piece goes into the grant's status. The next piece
goes when the wish names a later byte, so a reader that is slow, or a hub, makes nothing pile up here.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from hansa.api.job.log_window import WINDOW_BYTES
from hansa.errors import HansaError
from hansa.grants.exports.permits import Subject, exportable
from hansa.member.context import AgentContext
from hansa.member.runs.logs.kept_logs import KeptLogs
from hansa.member.runs.logs.log_request import request_of
from hansa.member.runs.run_objects import LogSource, RunObjects
from hansa.member.state.run_index import Entry
from hansa.model.log_request import LogRequest
from hansa.ports import Manifest
from hansa.reconcile.member.grant_status import reported
from hansa.reconcile.member.logs.log_scan import KEPT_BEHIND_BYTES, LogScan

log = logging.getLogger(__name__)
MOST_FOLLOWED = 16
"""Logs followed at the same time; a hub that asks for more waits for these to run out."""
MOST_CHUNKS, MOST_CHUNKS_AT_END = 4, 64
"""Mebibytes read of one log at a look, until what is wanted is reached; and when nothing more comes."""


@dataclass(slots=True)
class _Followed:
    """One log that is followed. ``lock``: what is sent last must be what was read last."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pod: str = ""
    scan: LogScan = field(default_factory=LogScan)
    is_over: bool = False


class LogFollower:
    """Follows the logs that owners ask for."""

    def __init__(self, context: AgentContext, objects: RunObjects, kept: KeptLogs) -> None:
        """``context``: shared state; ``objects`` reads a run's log; ``kept`` takes it at its end."""
        self._context = context
        self._objects = objects
        self._kept = kept
        self._followed: dict[str, _Followed] = {}
        self._taking = asyncio.Lock()
        """A chunk holds the loop for a while: after each, whatever log it is of, others have their turn."""

    async def look(self) -> None:
        """Send the next piece of each log that is followed, and take back what is not any more."""
        names = self._context.run_index.names()
        for gone in self._followed.keys() - {*names}:
            del self._followed[gone]
        found = [entry for entry in map(self._context.run_index.get, names) if entry is not None]
        await asyncio.gather(*(self._serve(entry) for entry in found))

    async def end(self, entry: Entry) -> Manifest:
        """Keep a log at its run's end; return the status fields about it.

        Empty: none of it may leave, nobody follows it and none is kept, or it cannot be read.
        """
        request, keeps = self._request(entry), self._context.settings.logs.keep_bytes > 0
        if not self._may_leave(entry) or not (request or keeps):
            return {}
        state = self._followed.setdefault(entry.name, _Followed())
        async with state.lock:
            state.is_over = True
            try:
                if not await self._read(
                    entry, state, request.start if request else 0, is_over=True
                ):
                    return {}
            except HansaError as error:
                log.warning("end of log not read", extra={"run": entry.name, "error": str(error)})
                return {}
        scan = state.scan
        told = await self._kept.keep(entry, scan) if keeps else {}
        if request is None:
            return told
        piece = scan.piece(request.start) if told else scan.last(request.start)
        return told | {"log": piece.wire()}

    async def _serve(self, entry: Entry) -> None:
        request = self._request(entry)
        try:
            if request is not None:
                await self._send(entry, request)
                return
            self._followed.pop(entry.name, None)
            if self._shown(entry) is not None:
                await self._tell(entry, None)
        except HansaError as error:
            log.info("log not sent", extra={"run": entry.name, "error": str(error)})

    async def _send(self, entry: Entry, request: LogRequest) -> None:
        state = self._followed.get(entry.name)
        if state is None:
            if len(self._followed) >= MOST_FOLLOWED:
                return
            state = self._followed[entry.name] = _Followed()
        async with state.lock:
            if state.is_over or not await self._read(entry, state, request.start):
                return
            window = state.scan.window(request.start).wire()
            if window != self._shown(entry):
                await self._tell(entry, window)

    async def _tell(self, entry: Entry, window: Manifest | None) -> None:
        await self._context.tell_hub(entry.grant, {"status": {"log": window}})

    def _request(self, entry: Entry) -> LogRequest | None:
        """Return what the owner asks for, where the law lets it out and the run has not been told over."""
        grant = self._context.grant_of(entry)
        if grant is None or reported(grant).finished or not self._may_leave(entry):
            return None
        return request_of(self._context, grant, entry.epoch)

    def _may_leave(self, entry: Entry) -> bool:
        sets = tuple(source.name for source in entry.spec.job_spec.data)
        policy = self._context.cluster_state.policy.spec
        return exportable(Subject(entry.spec.institution, sets), policy).shows_log

    def _shown(self, entry: Entry) -> Manifest | None:
        """Return the piece that the hub has; None: it has none, or has the log's end."""
        grant = self._context.grant_of(entry)
        if grant is None or reported(grant).finished:
            return None
        found: Manifest | None = (grant.get("status") or {}).get("log")
        return found

    async def _read(
        self, entry: Entry, state: _Followed, start: int, *, is_over: bool = False
    ) -> bool:
        """Read on until the piece from ``start`` is whole, or to the end; False: there is no log, or no end of it."""
        source = await self._objects.log_source(entry)
        if source is None:
            return False
        if source.pod != state.pod or start < state.scan.start:
            state.pod, state.scan = source.pod, LogScan()
        behind = max(KEPT_BEHIND_BYTES, self._context.settings.logs.keep_bytes)
        for _ in range(MOST_CHUNKS_AT_END if is_over else MOST_CHUNKS):
            if not is_over and state.scan.end >= start + WINDOW_BYTES:
                return True
            before = state.scan
            text, is_cut = await self._objects.read_log(source, before.query)
            async with self._taking:
                after = before.take(text, source.mark, is_cut=is_cut, is_over=is_over)
                await asyncio.sleep(0)
            state.scan = after.without(after.end if is_over else start, behind)
            if is_cut:
                continue
            back = await self._looking_back(source, before) if after is before else None
            if back is None:
                return True
            state.scan = back
        return not is_over

    async def _looking_back(self, source: LogSource, scan: LogScan) -> LogScan | None:
        """Return how to go on where nothing new came because the machine's clock was set back; None: it was not."""
        if not scan.second:
            return None
        tail, _ = await self._objects.last_lines(source, 1, timestamps="true")
        return scan.looking_back(tail)
