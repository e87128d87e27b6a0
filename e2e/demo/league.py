"""Founds the demo's league with Helm and kubectl only, as its platform teams would."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from e2e.demo.books import Books
from e2e.demo.datasets import breast_cancer_csv, digits_csv
from e2e.demo.jobs import EXAMPLES, Manifest
from e2e.testbed.addons import helm
from e2e.testbed.addons.volumes import provide_data, provide_room
from e2e.testbed.build.images import COREDNS, HANSA
from e2e.testbed.build.rootfs import USER_ID
from e2e.testbed.cluster.spec import HUB
from e2e.testbed.host.clock import TIMEOUT, wait_until
from e2e.testbed.league import founding
from e2e.testbed.league.founding import SYSTEM, HubKey
from e2e.testbed.providers.local import LocalTestbed
from e2e.testbed.providers.site import Site

CHARTS = Path(__file__).resolve().parents[2] / "helm"
LEDGER = "hansa-ledger"
INSTITUTIONS = {
    "hospital": "tartu-hospital",
    "university": "tartu-university",
    "datacentre": "riga-datacentre",
}
"""Hub namespace → institution its jobs are charged to; two of them run a node as well."""
PENDING_S = 0
"""What was charged is due at once: the story ends with a settlement, and cannot wait a day for audits."""
DATA = {"tartu": ("breast-cancer", breast_cancer_csv), "riga": ("digits", digits_csv)}
"""Node → claim and what it holds."""


class League:
    """A founded league on a local testbed."""

    def __init__(
        self,
        testbed: LocalTestbed,
        data: Path,
        *,
        settings: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        """``data``: folder for the members' volumes; it must outlive the league.

        ``settings``: chart → what to set there instead of its defaults.
        """
        self._testbed, self._data, self._settings = testbed, data, settings
        self._key: HubKey = founding.make_hub_key()
        self.hub: Site = testbed.sites[HUB]
        self.members = {name: site for name, site in testbed.sites.items() if name != HUB}
        self.policies = {
            name: founding.with_hub_key(read(f"league/policy-{name}.yaml"), self._key.public_key)
            for name in self.members
        }
        self._values: dict[str, dict[str, Any]] = {}
        self.books = Books(data / "ledger", self._key.public_key)

    def found(self) -> None:
        """Install the hub, then all members at once."""
        progress = self._testbed.progress
        with progress.step("hub: chart, pool, tenants"):
            self._install_hub()
        title = "members: chart, join, policy, data"
        self._testbed.at_once(title, self._install_member, self.members)
        with progress.step("nodes ready"):
            for name in self.members:
                founding.wait_node_ready(self.hub, name)

    def set_ledger(self, groups: Mapping[str, Mapping[str, float]]) -> None:
        """Install or upgrade the hub's chart; ``groups``: of the ledger's settings, beside the league's terms."""
        settings = {"terms": {"pendingSeconds": PENDING_S}, **groups}
        self._chart(self.hub, "hansa-hub", {"ledger": {"settings": settings}})

    def upgrade_member(self, name: str, values: Mapping[str, Any]) -> None:
        """Upgrade a member's chart; ``values``: beside those it was installed with."""
        self._chart(self.members[name], "hansa-member", self._values[name] | dict(values))

    def runs(self, node: str) -> list[str]:
        """Return the namespaces of runs that a member has."""
        spaces = self.members[node].get("namespaces")["items"]
        return [s["metadata"]["name"] for s in spaces if s["metadata"]["name"].startswith("aij-")]

    def stop_hub(self) -> None:
        """Stop every replica of the hub; its API server, which is only its store, stays."""
        self._scale_hub(0)

    def start_hub(self) -> None:
        """Start the hub again."""
        self._scale_hub(2)

    def _scale_hub(self, replicas: int) -> None:
        self.hub.kubectl("-n", SYSTEM, "scale", "deployment/hansa-hub", f"--replicas={replicas}")
        if replicas:
            self.hub.wait_rollout(SYSTEM, "deployment/hansa-hub")
            return
        pods = ("--selector=app.kubernetes.io/name=hansa-hub", TIMEOUT)
        self.hub.kubectl("-n", SYSTEM, "wait", "pod", "--for=delete", *pods)

    def _install_hub(self) -> None:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "hansa-hub-key", "namespace": SYSTEM},
            "stringData": {"ed25519.pem": self._key.private_pem},
        }
        self.hub.apply(_restricted(SYSTEM), secret)
        # Behind the claim that the chart makes; the volume's owner is the ledger's user.
        provide_room(self.hub, self.books.folder, claim=(SYSTEM, LEDGER), user=USER_ID)
        self.set_ledger({})
        self.hub.apply(
            *(founding.namespace(n, institution=i) for n, i in INSTITUTIONS.items()),
            read("league/pool.yaml"),
            *(read(f"league/node-{name}.yaml") for name in self.members),
        )

    def _install_member(self, name: str) -> None:
        site = self.members[name]
        token = self.hub.kubectl("create", "token", "hansa-join", "-n", SYSTEM).strip()
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "hansa-join-token", "namespace": SYSTEM},
            "stringData": {"token": token},
        }
        site.apply(_restricted(SYSTEM), secret)
        join = {
            "enabled": True,
            "server": self.hub.url,
            "caBundle": self.hub.control_plane.ca_path.read_text(encoding="utf-8"),
        }
        lock = {"dataPaths": [str(self._data / name)]}
        self._values[name] = {
            "node": name,
            "join": join,
            "admission": lock,
            "resolver": self._resolver(),
        }
        with ThreadPoolExecutor(1) as pool:
            installing = pool.submit(self._chart, site, "hansa-member", self._values[name])
            founding.accept(self.hub, name, *self._keys(site))
            installing.result()
        if name in DATA:
            claim, content = DATA[name]
            folder = self._data / name
            files = {f"{claim}.csv": content()}
            provide_data(site, folder, namespace=SYSTEM, claim=claim, files=files)
        site.apply(self.policies[name])

    def _keys(self, site: Site) -> tuple[str, str]:
        """Return what the join Job's log tells: a person would read it out over the telephone."""
        found: list[tuple[str, str]] = []

        def told() -> bool:
            selector = "--selector=app.kubernetes.io/name=hansa-join"
            log = site.kubectl("-n", SYSTEM, "logs", selector, "--ignore-errors")
            found[:] = founding.KEYS.findall(log)
            return bool(found)

        what = f"the join Job of {site.name} to tell its keys"
        wait_until(told, what=what, poll_s=0.5)
        return found[0]

    def _resolver(self) -> Manifest:
        return {
            "image": self._testbed.images[COREDNS].reference,
            "replicas": 1,
            "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}},
        }

    def _chart(self, site: Site, name: str, values: Mapping[str, Any]) -> None:
        repository, digest = self._testbed.images[HANSA].reference.split("@")
        helm.upgrade_install(
            self._testbed.binaries,
            site.kubeconfig,
            release=name,
            chart=CHARTS / name,
            namespace=SYSTEM,
            values={
                "image": {"repository": repository, "digest": digest},
                "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
                "settings": self._settings.get(name, {}),
                **values,
            },
            marker=self._testbed.name,
        )


def read(path: str) -> Manifest:
    """Return one manifest of ``docs/examples``."""
    loaded: Manifest = yaml.safe_load((EXAMPLES / path).read_text(encoding="utf-8"))
    return loaded


def _restricted(name: str) -> dict[str, Any]:
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": level}}
