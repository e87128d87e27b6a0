"""ConfigMaps that are written over the version they were read at: two agents overwrite nothing unseen."""

from __future__ import annotations

from collections.abc import Mapping

from hansa.errors import Conflict, NotFound
from hansa.ports import Cluster, Manifest


class VersionedMaps:
    """ConfigMaps of one namespace, by name."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """No I/O until the first call."""
        self._cluster = cluster
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._versions: dict[str, str] = {}

    async def read(self, name: str) -> dict[str, str] | None:
        """Return the lines of one; None: there is none."""
        try:
            found = await self._cluster.get(f"{self._path}/{name}")
        except NotFound:
            self._versions.pop(name, None)
            return None
        self._versions[name] = _version(found)
        return {key: str(line) for key, line in (found.get("data") or {}).items()}

    async def write(self, name: str, lines: Mapping[str, str | None]) -> None:
        """Set lines, and delete those that are None; raises ``Conflict`` where another wrote first."""
        version = self._versions.get(name)
        if version is None:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
            kept = {key: line for key, line in lines.items() if line is not None}
            answer = await self._cluster.create(self._path, {**body, "data": kept})
        else:
            patch = {"metadata": {"resourceVersion": version}, "data": dict(lines)}
            try:
                answer = await self._cluster.merge(f"{self._path}/{name}", patch)
            except NotFound as error:
                raise Conflict(f"ConfigMap {name} is gone") from error
        self._versions[name] = _version(answer)


def _version(thing: Manifest) -> str:
    return str((thing.get("metadata") or {}).get("resourceVersion", ""))
