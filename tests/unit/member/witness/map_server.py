"""ConfigMaps of one namespace in memory, with versions."""

from __future__ import annotations

from dataclasses import dataclass, field

from hansa.errors import Conflict, NotFound, Retryable


@dataclass
class Server:
    """ConfigMaps with versions, as an API server keeps them."""

    maps: dict[str, dict] = field(default_factory=dict)
    is_away: bool = False

    async def get(self, path):
        if self.is_away:
            raise Retryable("no answer")
        if path not in self.maps:
            raise NotFound(path)
        kept = self.maps[path]
        return {"metadata": {"resourceVersion": str(kept["version"])}, "data": dict(kept["data"])}

    async def create(self, path, body):
        if self.is_away:
            raise Retryable("no answer")
        assert path == "/api/v1/namespaces/here/configmaps"
        full = f"{path}/{body['metadata']['name']}"
        if full in self.maps:
            raise Conflict(full)
        self.maps[full] = {"version": 1, "data": dict(body["data"])}
        return await self.get(full)

    async def merge(self, path, body):
        if self.is_away:
            raise Retryable("no answer")
        if path not in self.maps:
            raise NotFound(path)
        kept = self.maps[path]
        if body["metadata"]["resourceVersion"] != str(kept["version"]):
            raise Conflict(path)
        kept["version"] += 1
        data = {**kept["data"], **body["data"]}
        kept["data"] = {key: line for key, line in data.items() if line is not None}
        return await self.get(path)
