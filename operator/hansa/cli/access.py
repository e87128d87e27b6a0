"""Which API server a command talks to: the same rules as kubectl, so there is nothing to learn."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.proxies import connect
from hansa.errors import Terminal
from hansa.ports import Manifest

FORBIDDEN = 403
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """The connection options every asking command has."""

    kubeconfig: Path | None
    context: str

    def ask(self, question: Callable[[KubeCluster], Awaitable[T]]) -> T:
        """Run ``question`` against the chosen API server and return its answer."""
        return asyncio.run(self._ask(question))

    async def _ask(self, question: Callable[[KubeCluster], Awaitable[T]]) -> T:
        chosen = find_kubeconfig(self.kubeconfig, os.environ)
        connection = connect(chosen, os.environ, context=self.context)
        async with KubeCluster(connection, clock=SystemClock(), agent="kubectl-hansa") as cluster:
            return await question(cluster)


def find_kubeconfig(given: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Return --kubeconfig, the first file of KUBECONFIG that exists, ~/.kube/config, or None.

    None means the pod's own service account. Unlike kubectl, several files are not merged.
    """
    if given is not None:
        return given
    listed = [Path(name) for name in environment.get("KUBECONFIG", "").split(os.pathsep) if name]
    home = Path(environment.get("HOME", "/")) / ".kube" / "config"
    found = next((path for path in listed or [home] if path.exists()), None)
    if found is None and listed:
        raise Terminal(f"KUBECONFIG names {listed[0]}, which does not exist", reason="NoConnection")
    return found


def with_access(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --kubeconfig and --context, and pass them on as one ``access``."""

    @click.option(
        "--kubeconfig",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Kubeconfig; default: KUBECONFIG, then ~/.kube/config, then the pod's own account.",
    )
    @click.option(
        "--context", default="", help="Context in the kubeconfig; default: the current one."
    )
    @wraps(command)
    def inner(*args: Any, kubeconfig: Path | None, context: str, **kwargs: Any) -> Any:
        return command(*args, access=Access(kubeconfig, context), **kwargs)

    return inner


async def list_if_allowed(cluster: KubeCluster, path: str) -> list[Manifest] | None:
    """Return a collection, or None when this user may not list it."""
    try:
        return (await cluster.list(path)).items
    except Terminal as error:
        if error.status == FORBIDDEN:
            return None
        raise
