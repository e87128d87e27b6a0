"""What the witness remembers, in a ConfigMap of the agent's namespace: one cosigned checkpoint a log.

It is written under the version that was read, so of two agents at once one fails and asks again. The
ConfigMap is never made where it is missing, except by enrolment and restoring: a memory that vanished
must be noticed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from hansa.errors import Conflict, NotFound, Terminal
from hansa.ports import Cluster, Manifest
from hansa.translog.note import Note

NAME = "hansa-witness"


@dataclass(frozen=True, slots=True)
class Recollection:
    """A memory as it was read."""

    note: Note | None
    """None: nothing is remembered of this log, which never means the empty tree."""
    version: str
    """resourceVersion of the ConfigMap; empty where there is none."""


class WitnessMemory:
    """The last checkpoint cosigned, by log."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """No I/O until the first call."""
        self._cluster = cluster
        self._folder = f"/api/v1/namespaces/{namespace}/configmaps"

    async def read(self, origin: str) -> Recollection:
        """Return what is remembered; raises ``Terminal`` where it is damaged."""
        try:
            found = await self._cluster.get(f"{self._folder}/{NAME}")
        except NotFound:
            return Recollection(None, "")
        text = (found.get("data") or {}).get(_key(origin))
        note = None if text is None else Note.parse(str(text).encode())
        return Recollection(note, _version(found))

    async def advance(self, origin: str, note: Note, since: Recollection) -> None:
        """Remember ``note`` durably in place of what was read.

        Raises ``Conflict`` where another wrote since, ``Terminal`` where there was no memory to go on
        from.
        """
        if since.note is None:
            raise Terminal(f"nothing is remembered of {origin}", reason="NoMemory")
        await self._lay(origin, note, since)

    async def begin(self, origin: str, note: Note, since: Recollection) -> None:
        """Remember ``note`` where nothing was remembered; raises ``Conflict`` otherwise."""
        if since.note is not None:
            raise Conflict(f"{origin} is remembered already")
        if since.version:
            await self._lay(origin, note, since)
            return
        data = {_key(origin): note.encode().decode()}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": data}
        await self._cluster.create(self._folder, body)

    async def _lay(self, origin: str, note: Note, since: Recollection) -> None:
        metadata = {"resourceVersion": since.version}
        body = {"metadata": metadata, "data": {_key(origin): note.encode().decode()}}
        await self._cluster.merge(f"{self._folder}/{NAME}", body)


def _key(origin: str) -> str:
    """Return what C2SP calls the origin hash: an origin is no key of a ConfigMap."""
    return hashlib.sha256(origin.encode()).hexdigest()


def _version(found: Manifest) -> str:
    return str((found.get("metadata") or {}).get("resourceVersion", ""))
