"""kopf as a front door: login, settings, and a process's work begun and ended by kopf.

Thin on purpose. kopf hears the signals and feeds the low-rate kinds; it keeps no state in
annotations, posts nothing, and gets a registry of our own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hansa.adapters.kube.config import Connection
from hansa.process.app import Supervisor
from hansa.process.lean_kopf import kopf

Handlers = Callable[[kopf.OperatorRegistry], None]
"""Puts a process's own handlers into a registry."""
KILLED_AFTER_S = 60.0
"""An end that takes longer is ended by kopf, with SIGKILL; in a pod the kubelet is sooner."""


async def run_under_kopf(
    supervisor: Supervisor, connection: Connection, handlers: Handlers
) -> None:
    """Run a process until kopf is signalled or the work fails; raises ``TaskFailed``."""
    registry = build_registry(supervisor, connection)
    handlers(registry)
    try:
        await kopf.operator(
            registry=registry,
            settings=build_settings(),
            standalone=True,
            clusterwide=True,
            stop_flag=supervisor.ending,
        )
    finally:
        await supervisor.stop()
    supervisor.result()


def build_registry(supervisor: Supervisor, connection: Connection) -> kopf.OperatorRegistry:
    """Return a registry that logs in, and begins and ends the work."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return connection_info(connection)

    @kopf.on.startup(registry=registry)
    async def startup(**_: Any) -> None:
        await supervisor.start()

    @kopf.on.cleanup(registry=registry)
    async def cleanup(**_: Any) -> None:
        await supervisor.stop()

    return registry


def build_settings() -> kopf.OperatorSettings:
    """Return settings that keep kopf to watching."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = 300
    settings.process.ultimate_exiting_timeout = KILLED_AFTER_S
    return settings


def connection_info(connection: Connection) -> kopf.ConnectionInfo:
    """Return our connection in kopf's words. After a 401 kopf asks again: a rotated token is read."""
    return kopf.ConnectionInfo(
        server=connection.server,
        ca_path=connection.ca_file,
        ca_data=_unless(connection.ca_file, connection.ca_pem),
        token=_token(connection),
        certificate_path=connection.certificate_file,
        certificate_data=_unless(connection.certificate_file, connection.certificate_pem),
        private_key_path=connection.key_file,
        private_key_data=_unless(connection.key_file, connection.key_pem),
        default_namespace=connection.namespace,
    )


def _unless(file: object, pem: str) -> str | None:
    """Files win over inline values; kopf refuses both."""
    return None if file or not pem else pem


def _token(connection: Connection) -> str | None:
    if connection.token_file:
        return connection.token_file.read_text().strip()
    if connection.token_command:
        return connection.token_command()
    return connection.token or None
