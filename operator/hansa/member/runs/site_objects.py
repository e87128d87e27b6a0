"""What the agent's own namespace holds for all runs: registry credentials, certificate authorities.

What is missing or of the wrong kind ends the making of a run with a sentence: a run without it would
hang on a pull for as long as its start limit.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from hansa.adapters.kube.authorities import certificates
from hansa.errors import NotFound, Terminal
from hansa.ports import Cluster, Manifest
from hansa.reconcile.member.platform.pod_settings import PodSettings
from hansa.reconcile.member.platform.proxy import AUTHORITY_FILE

OPENSHIFTS_FILE = "ca-bundle.crt"
"""Where OpenShift writes the cluster's authorities in a ConfigMap labelled for it."""
PULL_TYPES = {
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
    "kubernetes.io/dockercfg": ".dockercfg",
}
"""Type of a Secret with registry credentials → the key that they stand under."""


class SiteObjects:
    """Reads them by name, which is all that the agent may do there."""

    def __init__(self, own: Cluster, namespace: str) -> None:
        """``namespace``: the agent's."""
        self._own, self._core = own, f"/api/v1/namespaces/{namespace}"

    async def pull_secrets(self, settings: PodSettings) -> dict[str, Mapping[str, Any]]:
        """Return the Secrets that runs pull images with; raises ``Terminal`` for one that is unfit."""
        found: dict[str, Mapping[str, Any]] = {}
        for name in settings.image_pull_secrets:
            secret = await self._get("secrets", name, "runs.imagePullSecrets")
            key = PULL_TYPES.get(str(secret.get("type")))
            if key is None or key not in (secret.get("data") or {}):
                raise Terminal(
                    f"Secret {name} of runs.imagePullSecrets holds no registry credentials: make it with"
                    f" `kubectl create secret docker-registry {name} …`"
                )
            found[name] = {"type": secret["type"], "data": {key: secret["data"][key]}}
        return found

    async def authorities(self, settings: PodSettings) -> str:
        """Return the certificate authorities that programs of runs trust; empty: the image's own."""
        name = settings.proxy.authorities
        if not name:
            return ""
        held = await self._get("configmaps", name, "runs.proxy.authorities")
        where = f"ConfigMap {name} of runs.proxy.authorities"
        for key in (AUTHORITY_FILE, OPENSHIFTS_FILE):
            try:
                if text := (held.get("data") or {}).get(key):
                    return certificates(str(text))
                if octets := (held.get("binaryData") or {}).get(key):
                    return certificates(base64.b64decode(str(octets)))
            except ValueError as error:
                raise Terminal(f"{where}, under {key}: {error}") from error
        raise Terminal(f"{where} has neither {AUTHORITY_FILE} nor {OPENSHIFTS_FILE}")

    async def _get(self, plural: str, name: str, setting: str) -> Manifest:
        try:
            return await self._own.get(f"{self._core}/{plural}/{name}")
        except NotFound as error:
            raise Terminal(f"{setting} names {name}, which is not there: {error}") from error
