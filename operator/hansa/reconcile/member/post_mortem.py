"""What may leave of pods that died: where the log's end may, and nothing of it elsewhere.

A pod's last lines and its exit code are the program's words. Warnings are the member's cluster's: they leave with
them, for a probe's output is in them, but names of machines and addresses do not, and each is one short line.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable

from hansa.api.job.post_mortem import EVENT_BYTES, POD_LOG_BYTES
from hansa.grants.exports.permits import Exportable
from hansa.model.times import rfc3339
from hansa.ports import Manifest
from hansa.reconcile.member.outgoing import clusters_words, last_lines
from hansa.reconcile.member.workload import DeadPod, PodEvent

_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|[0-9a-fA-F]*:[0-9a-fA-F:]+")
"""What may be one; which it is, ``ipaddress`` says."""
MOST_REASON = 63
MOST_RESTARTS = 1_000_000


def post_mortem(
    dead: Iterable[tuple[DeadPod, str]], machines: Collection[str], may: Exportable
) -> tuple[Manifest, ...]:
    """Return the rows about pods that died, each with its last lines; none where the law keeps them."""
    if not may.shows_tail:
        return ()
    return tuple(_row(pod, text, machines) for pod, text in dead)


def _row(pod: DeadPod, text: str, machines: Collection[str]) -> Manifest:
    row: Manifest = {"role": pod.role, "reason": clusters_words(pod.reason, MOST_REASON)}
    if pod.exit_code is not None:
        row["exitCode"] = pod.exit_code
    if pod.restarts:
        row["restarts"] = min(pod.restarts, MOST_RESTARTS)
    if pod.at_s is not None:
        row["at"] = rfc3339(pod.at_s)
    if pod.events:
        row["events"] = [_line(event, machines) for event in pod.events]
    tail = last_lines(text.rstrip("\n"), POD_LOG_BYTES)
    return row | ({"logTail": tail} if tail else {})


def _line(event: PodEvent, machines: Collection[str]) -> str:
    # The longest first: a name may be part of another.
    names = "|".join(map(re.escape, sorted(machines, key=len, reverse=True)))
    known = re.compile(rf"(?<![\w-])({names})(?![\w-])") if names else None
    said = known.sub("(a machine)", event.message) if known else event.message
    said = _ADDRESS.sub(_hidden, said)
    times = f" ({event.count} times)" if event.count > 1 else ""
    return clusters_words(f"{event.reason}{times}: {said}", EVENT_BYTES)


def _hidden(found: re.Match[str]) -> str:
    try:
        ipaddress.ip_address(found[0])
    except ValueError:
        return found[0]
    return "(an address)"
