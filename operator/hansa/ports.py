"""What the core and the processes need of the outside world, as small protocols.

Adapters implement them; tests pass fakes. Nothing here performs I/O.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Manifest = dict[str, Any]
"""A Kubernetes object as raw JSON: typed models drop fields they do not know."""


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...


class Signer(Protocol):
    """Holds a private key and never shows it."""

    @property
    def key_id(self) -> str:
        """``sha256:…`` of the raw public key."""
        ...

    @property
    def public_key(self) -> str:
        """The raw public key, base64."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature: Ed25519 (RFC 8032, 64 bytes) or ML-DSA-44 (FIPS 204, 2,420)."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """A consistent list of objects and the resourceVersion it was read at."""

    items: list[Manifest]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One watch event. ``BOOKMARK`` carries only a resourceVersion."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Manifest


class Cluster(Protocol):
    """A Kubernetes API server. Paths are absolute (``/api/v1/namespaces/x/pods``).

    Every method raises ``errors.Conflict`` for 409, ``errors.NotFound`` for 404, ``errors.Gone`` for
    410, ``errors.Retryable`` for 429, 5xx and lost connections, ``errors.Terminal`` for the rest.
    """

    async def get(self, path: str) -> Manifest:
        """Return one object."""
        ...

    async def list(self, path: str, *, labels: str = "", fields: str = "") -> Page:
        """Return all objects of a collection, read page by page."""
        ...

    def pages(self, path: str, *, labels: str = "", fields: str = "") -> AsyncIterator[Page]:
        """Yield the same page by page, for whoever need not have all of it at once."""
        ...

    def watch(
        self, path: str, resource_version: str, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """Yield events after ``resource_version`` until the server ends the watch."""
        ...

    async def create(self, path: str, body: Manifest) -> Manifest:
        """POST a new object to its collection."""
        ...

    async def replace(self, path: str, body: Manifest) -> Manifest:
        """PUT an object, or its ``/status``, read at the resourceVersion that ``body`` carries."""
        ...

    async def apply(self, path: str, body: Manifest, *, manager: str) -> Manifest:
        """Server-side apply (forced) to an object's path, or to its ``/status``."""
        ...

    async def merge(self, path: str, body: Manifest) -> Manifest:
        """JSON merge patch (RFC 7386)."""
        ...

    async def delete(self, path: str, *, uid: str = "") -> None:
        """Delete in the background; with ``uid``, only that very object. Absent is success."""
        ...

    async def text(self, path: str, query: Mapping[str, str]) -> str:
        """GET a non-JSON sub-resource such as a pod's log."""
        ...


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU at one instant. None: the driver does not tell."""

    uuid: str
    index: int
    model: str
    busy_percent: int | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    power_milliwatts: int | None
    energy_millijoules: int | None
    temperature_celsius: int | None
    ecc_corrected: int | None
    ecc_uncorrected: int | None
    process_ids: Sequence[int] = ()
    slowdown_celsius: int | None = None
    """Temperature at which it slows itself down."""
    xids: Mapping[int, int] | None = None
    """XID → errors since the probe began to listen, the last one last."""
    is_ill: bool = False
    """Whether it answers with an error of its own what every card knows."""


class GpuProbe(Protocol):
    """Reads the GPUs of this machine."""

    def read(self) -> Sequence[GpuReading]:
        """Return one reading per GPU; raises ``errors.Terminal`` with the reason there are none."""
        ...


class Store(Protocol):
    """Files by path (``a/b/c``), on a disk or elsewhere. Raises ``errors.Retryable`` when it fails."""

    def read(self, path: str) -> bytes | None:
        """Return a file whole, or None where there is none."""
        ...

    def write(self, path: str, body: bytes) -> None:
        """Make or replace a file: durable on return, and never seen in part."""
        ...

    def list(self, folder: str) -> list[str]:
        """Return the paths of the files right below ``folder``, sorted."""
        ...

    def delete(self, path: str) -> None:
        """Remove a file; absent is success."""
        ...


class LeafIndex(Protocol):
    """Which published leaf stands where. Raises ``errors.Retryable`` when it fails."""

    def size(self) -> int:
        """Return how many leaves it knows; they are the first ones."""
        ...

    def find(self, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """Return the index of each leaf hash that is known."""
        ...

    def add(self, first: int, hashes: Sequence[bytes]) -> None:
        """Remember leaves from index ``first`` on, all or none; known ones stay as they are."""
        ...
