"""A store of objects with versions, preconditions and troubles, in place of the API server."""

from __future__ import annotations

from typing import Any

from hansa.errors import Conflict, NotFound, Retryable
from hansa.model.times import rfc3339
from hansa.ports import Manifest
from tests.unit.reconcile.hub.hub_objects import NOW_S


class Time:
    """A clock that a test moves."""

    def __init__(self, now_s: float = NOW_S) -> None:
        self.now_s = now_s

    def now(self) -> float:
        return self.now_s

    monotonic = now


class Store:
    """Objects by path, as much of an API server as the hub writes to."""

    def __init__(self, clock: Time) -> None:
        self.clock = clock
        self.objects: dict[str, Manifest] = {}
        self.access: dict[str, Manifest] = {}
        """Namespaces, roles and bindings of nodes, by path."""
        self.tokens = 0
        """Tokens made."""
        self.version = 0
        self.news: list[tuple[str, Manifest]] = []
        """(change, object) that no watch has delivered yet."""
        self.trouble = ""
        """The next write is ``lost`` on its way, or done and its ``answer`` lost."""
        self.writes: list[str] = []

    def put(self, path: str, thing: Manifest, change: str = "MODIFIED") -> Manifest:
        self.version += 1
        made = {**thing, "metadata": {**thing["metadata"], "resourceVersion": str(self.version)}}
        self.objects[path] = made
        self.news.append((change, made))
        return copied(made)

    def remove(self, path: str) -> None:
        thing = self.objects.pop(path, None)
        if thing is not None:
            self.news.append(("DELETED", thing))

    async def get(self, path: str) -> Manifest:
        if path not in self.objects | self.access:
            raise NotFound(path)
        return copied((self.objects | self.access)[path])

    async def create(self, path: str, body: Manifest) -> Manifest:
        if path.endswith("/token"):
            return self._token(path)
        where = f"{path}/{body['metadata']['name']}"
        if where in self.objects:
            raise Conflict(where)
        meta = {"uid": f"uid-{self.version}", "creationTimestamp": rfc3339(self.clock.now())}
        body = {**body, "metadata": {**body["metadata"], **meta}}
        return self._write(where, body, "ADDED")

    async def replace(self, path: str, body: Manifest) -> Manifest:
        assert path.endswith("/status")
        path = path.removesuffix("/status")
        return self._write(path, {**self._precondition(path, body), "status": body["status"]})

    async def merge(self, path: str, body: Manifest) -> Manifest:
        path = path.removesuffix("/status")
        made = self._write(path, _merged(self._precondition(path, body), body))
        meta = made["metadata"]
        if "deletionTimestamp" in meta and not meta.get("finalizers"):
            self.remove(path)
        return made

    async def apply(self, path: str, body: Manifest, *, manager: str) -> Manifest:
        """Statuses go into their objects; what gives access is kept apart, and no news."""
        assert manager
        if not path.endswith("/status"):
            uid = self.access.get(path, {"metadata": {"uid": f"access-{len(self.writes)}"}})
            meta = body["metadata"] | {"uid": uid["metadata"]["uid"]}
            self.access[path] = {**body, "metadata": meta}
            self.writes.append("")
            return body
        path = path.removesuffix("/status")
        status = {**self.objects[path].get("status", {}), **body["status"]}
        return self._write(path, {**self.objects[path], "status": status})

    async def delete(self, path: str, *, uid: str = "") -> None:
        present = (self.objects | self.access).get(path, {"metadata": {"uid": uid}})
        if uid and present["metadata"]["uid"] != uid:
            raise Conflict(path)
        self._troubled(lambda: (self.access.pop(path, None), self.remove(path)))

    def _token(self, path: str) -> Manifest:
        account = path.removesuffix("/token")
        if account not in self.access:
            raise NotFound(path)
        self.tokens += 1
        *_, space, _, name = account.split("/")
        end = rfc3339(self.clock.now() + 86_400)
        token = f"token {self.tokens} of {space}/{name}"
        return {"status": {"token": token, "expirationTimestamp": end}}

    def _precondition(self, path: str, body: Manifest) -> Manifest:
        old = self.objects.get(path)
        if old is None or old["metadata"]["uid"] != body["metadata"]["uid"]:
            raise NotFound(path)
        wanted = body["metadata"].get("resourceVersion")
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            raise Conflict(path)
        return old

    def _write(self, path: str, thing: Manifest, change: str = "MODIFIED") -> Manifest:
        return self._troubled(lambda: self.put(path, thing, change))

    def _troubled(self, write: Any) -> Any:
        trouble, self.trouble = self.trouble, ""
        self.writes.append(trouble)
        if trouble == "lost":
            raise Retryable("lost")
        done = write()
        if trouble == "answer":
            raise Retryable("answer lost")
        return done


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    kept = old if isinstance(old, dict) else {}
    merged = {**kept, **{name: _merged(kept.get(name), value) for name, value in patch.items()}}
    return {name: value for name, value in merged.items() if patch.get(name, value) is not None}


def copied(thing: Manifest) -> Manifest:
    return {**thing, "metadata": dict(thing["metadata"])}
