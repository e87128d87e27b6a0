"""Logs of runs that are over, as a member keeps them: several in one Secret, compressed, each until its time is over.

A few Secrets with fixed names, for a right to read Secrets of any name would reach the node's keys. A run's log is
the key ``RUN.UNTIL`` of one of them: what has had its time is found without being read.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hansa.api.job.log_window import LogWindow
from hansa.ports import Manifest
from hansa.reconcile.member.logs.log_scan import LogScan

NAME = "hansa-logs-{}"
SECRETS = 8
MOST_BYTES = 1_000_000
"""Of one Secret, which holds 1 MiB."""
MOST_LOGS = 32
"""In one Secret: each has a grant that stays on the hub and in the agent's memory."""
MOST_KEPT_BYTES = 524_288
"""Of one log, as the run wrote it; compressed or not, it fits into a Secret."""
_MOST_FACTS = 65_536


@dataclass(frozen=True, slots=True)
class KeptLog:
    """The end of a run's log, or all of it, and what the law asks before any of it leaves."""

    run: str
    institution: str
    datasets: tuple[str, ...]
    start: int
    """Bytes of the log before it."""
    text: bytes
    until_s: float

    @property
    def end(self) -> int:
        """Bytes of the whole log."""
        return self.start + len(self.text)

    def piece(self, start: int) -> LogWindow:
        """Return the piece that begins at a byte; at what is kept, where that byte is not."""
        return LogScan(start=self.start, kept=self.text).piece(start)


def paths(namespace: str) -> list[str]:
    """Return where all the Secrets are."""
    return [_path(namespace, number) for number in range(SECRETS)]


def path(namespace: str, run: str) -> str:
    """Return where the Secret with a run's log is."""
    return _path(namespace, zlib.crc32(run.encode()) % SECRETS)


def _path(namespace: str, number: int) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{NAME.format(number)}"


def addition(secret: Mapping[str, Any], log: KeptLog, now_s: float) -> Manifest:
    """Return the merge patch that keeps one more; what has had its time goes, then what ends first."""
    value = _encoded(log)
    held = {key: text for key, text in _data(secret).items() if _run(key) != log.run}
    left = {key: text for key, text in held.items() if _until_s(key) > now_s}
    room = MOST_BYTES - _size(value)
    while len(left) >= MOST_LOGS or sum(map(_size, left.values())) > room:
        del left[min(left, key=_until_s)]
    gone = dict.fromkeys(_data(secret).keys() - left.keys())
    return {"data": gone | {f"{log.run}.{int(log.until_s)}": value}}


def removal(secret: Mapping[str, Any], now_s: float, wanted: Iterable[str]) -> Manifest | None:
    """Return the merge patch that deletes what has had its time, or is no ``wanted`` run's; None: nothing is."""
    runs = {*wanted}
    gone = [key for key in _data(secret) if _until_s(key) <= now_s or _run(key) not in runs]
    return {"data": dict.fromkeys(gone)} if gone else None


def runs_in(secret: Mapping[str, Any], now_s: float) -> set[str]:
    """Return the runs whose logs are kept."""
    return {_run(key) for key in _data(secret) if _until_s(key) > now_s}


def read(secret: Mapping[str, Any], run: str, now_s: float) -> KeptLog | None:
    """Return the log of a run; None: it is not kept any more, or spoilt."""
    keys = [key for key in _data(secret) if _run(key) == run and _until_s(key) > now_s]
    return _decoded(run, _until_s(keys[0]), _data(secret)[keys[0]]) if keys else None


def _encoded(log: KeptLog) -> str:
    facts = {"institution": log.institution, "datasets": log.datasets, "start": log.start}
    whole = json.dumps(facts).encode() + b"\n" + log.text
    return base64.b64encode(zlib.compress(whole, 9)).decode()


def _decoded(run: str, until_s: float, value: object) -> KeptLog | None:
    try:
        packed = base64.b64decode(str(value), validate=True)
        whole = zlib.decompressobj().decompress(packed, MOST_KEPT_BYTES + _MOST_FACTS)
        head, _, text = whole.partition(b"\n")
        facts = json.loads(head)
        return KeptLog(
            run=run,
            institution=str(facts["institution"]),
            datasets=tuple(map(str, facts["datasets"])),
            start=int(facts["start"]),
            text=text,
            until_s=until_s,
        )
    except (binascii.Error, zlib.error, ValueError, KeyError, TypeError):
        return None


def _data(secret: Mapping[str, Any]) -> Mapping[str, Any]:
    data = secret.get("data")
    return data if isinstance(data, Mapping) else {}


def _run(key: str) -> str:
    return key.partition(".")[0]


def _until_s(key: str) -> float:
    """Return until when a log is kept; a key that is none of ours has had its time."""
    said = key.partition(".")[2]
    return float(said) if said.isascii() and said.isdecimal() else 0.0


def _size(value: object) -> int:
    return len(str(value)) * 3 // 4
