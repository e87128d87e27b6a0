"""An API server with the definitions, and what it says to an object."""

from __future__ import annotations

import http.client
import json
import ssl

from e2e.testbed.cluster.controlplane import ControlPlane
from hansa.api.kinds import Kind

NAMESPACE, CHANGES = "crd-constraints", "crd-changes"


class Api:
    """A keep-alive connection: two thousand kubectl calls would take half an hour."""

    def __init__(self, plane: ControlPlane) -> None:
        trust = ssl.create_default_context(cafile=str(plane.ca_path))
        self._connection = http.client.HTTPSConnection(
            plane.endpoint.host, plane.endpoint.port, context=trust
        )
        self._headers = {
            "Authorization": f"Bearer {plane.admin_token}",
            "Content-Type": "application/json",
        }

    def call(self, method: str, path: str, body: dict | None = None) -> tuple[int, dict]:
        data = None if body is None else json.dumps(body)
        self._connection.request(method, path, data, self._headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        self._connection.close()


def collection_of(kind: Kind, manifest: dict | None = None, *, namespace: str = NAMESPACE) -> str:
    name = manifest and manifest["metadata"]["name"]
    return kind.path(namespace if kind.namespaced else None, name)
