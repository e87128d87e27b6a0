"""Puts objects where the API server keeps them, without asking it: the setting up, and nothing else.

An API server takes some 20 ms to create an AIJob; fifty thousand would take a quarter of an hour. It
keeps custom resources as plain JSON, and reads its own kinds as JSON too, so they are written into
etcd as they would lie there. All that the benchmark measures goes through the API server.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from itertools import islice

import aiohttp
import orjson

from hansa.api.kinds import KINDS
from hansa.ports import Manifest

MOST_IN_A_TRANSACTION = 100
"""etcd takes 128."""
_BUILT_IN = {
    "Namespace": "namespaces",
    "ServiceAccount": "serviceaccounts",
    "ResourceQuota": "resourcequotas",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Lease": "leases",
}
_CUSTOM = {kind.name: f"hansa.dev/{kind.plural}" for kind in KINDS}


async def load(endpoint: str, things: Iterable[Manifest]) -> dict[str, Manifest]:
    """Write objects; return kind → metadata of its last one. ``endpoint``: etcd's client URL."""
    last, left = dict[str, Manifest](), iter(things)
    async with aiohttp.ClientSession(json_serialize=lambda body: orjson.dumps(body).decode()) as at:
        while batch := [*islice(left, MOST_IN_A_TRANSACTION)]:
            body = {"success": [{"requestPut": put} for put in _puts(batch)]}
            async with at.post(f"{endpoint}/v3/kv/txn", json=body) as answer:
                answer.raise_for_status()
            last |= {thing["kind"]: thing["metadata"] for thing in batch}
    return last


def _puts(things: Iterable[Manifest]) -> Iterator[dict[str, str]]:
    for thing in things:
        yield {"key": _text(key_of(thing).encode()), "value": _text(orjson.dumps(thing))}


def key_of(thing: Manifest) -> str:
    """Return the key under which the API server keeps an object.

    >>> key_of({"kind": "AIJob", "metadata": {"namespace": "clinic", "name": "a"}})
    '/registry/hansa.dev/aijobs/clinic/a'
    """
    meta, kind = thing["metadata"], thing["kind"]
    folder = _CUSTOM.get(kind) or _BUILT_IN[kind]
    space = [meta["namespace"]] if "namespace" in meta else []
    return "/".join(["/registry", folder, *space, meta["name"]])


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
