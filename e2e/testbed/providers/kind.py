"""The `kind` provider: the same league on machines with Docker, through kind.

Thin on purpose: it writes one kind configuration a site and the commands that use them. kind cannot
run without a Docker engine that allows privileged containers, so only what is generated is tested.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.testbed.build.binaries import cache_root
from e2e.testbed.build.families import KUBERNETES
from e2e.testbed.cluster.spec import LEAGUE, SiteSpec
from e2e.testbed.host.progress import Progress
from e2e.testbed.machines import state
from e2e.testbed.machines.state import State
from e2e.testbed.providers.provider import ProviderUnavailableError

NODE_IMAGE = f"kindest/node:{KUBERNETES.version}"


@dataclass(frozen=True, slots=True)
class KindSite:
    """The files and commands of one site."""

    spec: SiteSpec
    cluster: str
    config: dict[str, Any]
    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """Where kind writes the admin's kubeconfig."""
        return self.folder / f"{self.spec.name}.kubeconfig"

    @property
    def config_file(self) -> Path:
        """The kind configuration."""
        return self.folder / f"{self.spec.name}.yaml"

    def create_commands(self) -> list[list[str]]:
        """Return the commands that bring the site up and declare its GPUs."""
        create = ["kind", "create", "cluster", "--name", self.cluster]
        paths = ["--config", str(self.config_file), "--kubeconfig", str(self.kubeconfig)]
        commands = [[*create, *paths, "--image", NODE_IMAGE, "--wait", "120s"]]
        if self.spec.gpus:
            count = str(self.spec.gpus.count)
            patch = f'[{{"op":"add","path":"/status/capacity/nvidia.com~1gpu","value":"{count}"}}]'
            for node in self.nodes():
                kubectl = ["kubectl", "--kubeconfig", str(self.kubeconfig), "patch", "node", node]
                commands.append([*kubectl, "--subresource=status", "--type=json", "-p", patch])
        return commands

    def delete_command(self) -> list[str]:
        """Return the command that removes the site."""
        return ["kind", "delete", "cluster", "--name", self.cluster]

    def nodes(self) -> list[str]:
        """Return kind's names of the site's nodes."""
        first = f"{self.cluster}-control-plane"
        others = [
            f"{self.cluster}-worker{n if n > 1 else ''}" for n in range(1, self.spec.machines)
        ]
        return [first, *others]


class KindTestbed:
    """A hub and members as kind clusters."""

    pods = "real"

    def __init__(
        self,
        specs: Sequence[SiteSpec] = LEAGUE,
        *,
        name: str = "hansa",
        progress: Progress | None = None,
    ) -> None:
        self.name = name
        self.progress = progress or Progress()
        self.folder = cache_root() / "run" / name
        self.sites = {spec.name: kind_site(spec, name, self.folder) for spec in specs}

    def up(self) -> None:
        """Create every cluster."""
        for program in ("kind", "docker", "kubectl"):
            if shutil.which(program) is None:
                raise ProviderUnavailableError(f"the kind provider needs {program} on PATH")
        self.folder.mkdir(parents=True, exist_ok=True)
        state.claim(lambda number: State(self.name, number, str(self.folder), "kind"))
        for site in self.sites.values():
            site.config_file.write_text(yaml.safe_dump(site.config))
            with self.progress.step(f"kind cluster {site.cluster}"):
                for command in site.create_commands():
                    self.progress.note(shlex.join(command))
                    subprocess.run(command, check=True)

    def down(self) -> None:
        """Delete every cluster."""
        recorded = state.load(self.name)
        if recorded is None:
            return
        for site in self.sites.values():
            subprocess.run(site.delete_command(), check=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        recorded.forget()


def kind_site(spec: SiteSpec, testbed: str, folder: Path) -> KindSite:
    """Return what kind needs for one site."""
    return KindSite(spec, f"{testbed}-{spec.name}", kind_config(spec), folder)


def kind_config(spec: SiteSpec) -> dict[str, Any]:
    """Return a kind configuration with the site's labels on every node."""
    roles = ["control-plane", *["worker"] * (spec.machines - 1)]
    labels = spec.node_labels()
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": role, "labels": labels} for role in roles],
    }
