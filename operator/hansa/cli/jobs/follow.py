"""Follows a job's log: asks for a piece at a time by an annotation on the job, and reads it from the job's status.

Each piece says at which byte it begins, so nothing is shown twice and what is missing is counted.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from hansa.adapters.clock import SystemClock
from hansa.api.job.log_window import WINDOW_BYTES, JobLogWindow, KeptLog
from hansa.api.meta import LOG_REQUEST_ANNOTATION
from hansa.cli.display import plain
from hansa.errors import Retryable, Terminal
from hansa.model.log_request import LogRequest
from hansa.model.times import from_rfc3339
from hansa.ports import Manifest

if TYPE_CHECKING:
    from hansa.adapters.kube.client import KubeCluster

LOOK_S = 2.0
STANDS_S = 180
"""A reader that is gone is read for no longer than this."""
RENEW_S = 90
SILENCE_S = 30
"""So long a member may take for the first piece, before a reader is told why there may be none."""
ANSWER_S = 60
"""So long a member may take for the next piece of a log that is over, before a reader goes on without."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How far a log was shown."""

    epoch: int = 0
    """The run; 0: none yet, or whichever it is."""
    position: int = 0
    """First byte that was not shown."""
    asked: LogRequest | None = None
    asked_s: float = 0.0
    """When this run was asked for first."""
    is_answered: bool = False
    is_told: bool = False
    """Whether the silence was explained."""
    ended_s: float = 0.0
    """When the job was seen to have ended; 0: it was not."""
    heard_s: float = 0.0
    """When something was shown last."""
    job_uid: str = ""
    """UID of the job; empty: it was not seen yet."""


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from one look at the job."""

    reader: Reader
    text: str = ""
    note: str = ""
    """For the reader, beside the log."""
    request: LogRequest | None = None
    """To be asked for now."""
    is_over: bool = False
    needs_tail: bool = False
    """Whether the log's last lines come otherwise: nobody followed it to its end."""


def step(reader: Reader, job: Manifest, now_s: float) -> Step:
    """Return what to show of a job and what to ask for next."""
    status = job.get("status") or {}
    epoch, node = int(status.get("epoch") or 0), str(status.get("node") or "")
    note = ""
    reader = _of_same_job(reader, job)
    if node and (epoch != reader.epoch or not reader.asked_s):
        note = f"run {epoch}, at {node}"
        place = reader.position if reader.epoch in {0, epoch} else 0
        reader = replace(reader, epoch=epoch, position=place, asked=None)
        reader = replace(reader, asked_s=now_s, is_answered=False, is_told=False)
    elif not (node or reader.is_told or _has_ended(status)):
        note = "it holds no node yet; `kubectl hansa explain` says why"
        reader = replace(reader, is_told=True)
    if _has_ended(status) and not reader.ended_s:
        reader = replace(reader, ended_s=now_s)
    window, kept = _window(status, reader.epoch), kept_log(status, now_s)
    shown = _shown(reader, window, note, kept)
    if shown.text:
        shown = replace(shown, reader=replace(shown.reader, heard_s=now_s))
    if not _has_ended(status):
        return _asked(shown, window, node, now_s)
    if kept is None:
        has_end = window is not None and window.state == "Ended"
        return replace(shown, is_over=True, needs_tail=not has_end)
    return _rest(shown, kept, now_s) or _asked(shown, window, node, now_s)


def _of_same_job(reader: Reader, job: Manifest) -> Reader:
    """Return the reader of a job; a namesake that was made meanwhile is another job, with another log."""
    uid = str((job.get("metadata") or {}).get("uid", ""))
    if reader.job_uid and uid != reader.job_uid:
        raise Terminal("the job was deleted, and another of its name made; begin anew")
    return replace(reader, job_uid=uid)


def kept_log(status: Manifest, now_s: float) -> KeptLog | None:
    """Return what the member keeps of a job's log; None: nothing, now."""
    if not status.get("keptLog"):
        return None
    try:
        kept = KeptLog.model_validate(status["keptLog"])
    except ValueError as error:
        raise Terminal(f"status.keptLog of the job cannot be read: {error}") from error
    return kept if (from_rfc3339(kept.until) or 0.0) > now_s else None


def _rest(shown: Step, kept: KeptLog, now_s: float) -> Step | None:
    """Return the last step of a log that is over; None: there is more to be read."""
    if shown.reader.position >= kept.end:
        return replace(shown, is_over=True)
    if now_s - max(shown.reader.ended_s, shown.reader.heard_s) <= ANSWER_S:
        return None
    missing = kept.end - shown.reader.position
    note = f"the member keeps {missing} bytes more, and does not send them now"
    return replace(shown, note=note, is_over=True, needs_tail=True)


def _window(status: Manifest, epoch: int) -> JobLogWindow | None:
    if not status.get("log"):
        return None
    try:
        window = JobLogWindow.model_validate(status["log"])
    except ValueError as error:
        raise Terminal(f"status.log of the job cannot be read: {error}") from error
    return window if window.epoch == epoch else None


def _shown(reader: Reader, window: JobLogWindow | None, note: str, kept: KeptLog | None) -> Step:
    """Return what of a piece is new; one that begins later is another reader's, or the log's end.

    What lies before all that is kept is missing, whichever piece there is.
    """
    if kept is not None and kept.start > reader.position:
        missing = f"the first {kept.start - reader.position} bytes of the log are not kept"
        note, reader = (
            "; ".join(filter(None, (note, missing))),
            replace(reader, position=kept.start),
        )
    if window is None:
        return Step(reader, note=note)
    data, start = window.text.encode(), window.start
    end, reader = start + len(data), replace(reader, is_answered=True)
    if kept is None and window.state == "Ended" and start > reader.position:
        missing = f"{start - reader.position} bytes of the log were not sent before its end"
        note, reader = "; ".join(filter(None, (note, missing))), replace(reader, position=start)
    if not start <= reader.position < end:
        return Step(reader, note=note)
    text = data[reader.position - start :].decode(errors="ignore")
    return Step(replace(reader, position=end), text, note)


def _asked(shown: Step, window: JobLogWindow | None, node: str, now_s: float) -> Step:
    """Return the step with a request where one is due: at first, before it runs out, for the next piece."""
    reader, asked = shown.reader, shown.reader.asked
    if not reader.epoch or not node:
        return shown
    is_silent = not (reader.is_answered or reader.is_told)
    if is_silent and now_s - reader.asked_s > SILENCE_S:
        reader = replace(reader, is_told=True)
        shown = replace(shown, note=f"nothing yet: {_why_silent(node)}")
    if (
        asked is None
        or asked.until_s - now_s < RENEW_S
        or reader.position - asked.start >= WINDOW_BYTES // 2
        or _is_elsewhere(window, reader.position)
    ):
        asked = LogRequest(float(int(now_s) + STANDS_S), reader.epoch, reader.position)
        return replace(shown, reader=replace(reader, asked=asked), request=asked)
    return replace(shown, reader=reader)


def _is_elsewhere(window: JobLogWindow | None, position: int) -> bool:
    """Tell whether a piece neither holds a byte nor ends before it: another reader asked for it."""
    if window is None:
        return False
    return not window.start <= position <= window.start + len(window.text.encode())


def _why_silent(node: str) -> str:
    return (
        f"the run at {node} may not have begun, {node} may not export logs while they are written"
        " (MemberPolicy exports.logs: Allow), it may send as many other logs as it sends at a time,"
        " or its agent may be too old to send them before the end"
    )


def _has_ended(status: Manifest) -> bool:
    rows = status.get("conditions") or ()
    return any(r.get("type") in {"Succeeded", "Failed"} and r.get("status") == "True" for r in rows)


async def follow(cluster: KubeCluster, path: str, reader: Reader) -> tuple[Step, Manifest]:
    """Show a job's log until it ends; return the last step and the job as it is then.

    A server that answers no more is waited for; one that never did is an error.
    """
    clock = SystemClock()
    try:
        while True:
            try:
                job = await cluster.get(path)
                done = step(reader, job, clock.now())
                if done.request is not None:
                    asked = {LOG_REQUEST_ANNOTATION: str(done.request)}
                    await cluster.merge(path, {"metadata": {"annotations": asked}})
            except Retryable:
                if not reader.job_uid:
                    raise
                await asyncio.sleep(LOOK_S)
                continue
            reader = done.reader
            if done.note:
                click.echo(plain(done.note), err=True)
            click.echo(plain(done.text), nl=False)
            if done.is_over:
                return done, job
            await asyncio.sleep(LOOK_S)
    except asyncio.CancelledError:
        click.echo(f"\nto go on: --from {reader.epoch or 1}:{reader.position}", err=True)
        raise
