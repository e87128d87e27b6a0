"""One real Kubernetes control plane: etcd and kube-apiserver, on request with its controllers.

Needs no root. Everything it writes lies in one folder; everything it starts ends with it. Given a
network namespace it listens on that site's address, otherwise on loopback with free ports.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.audit import AUDIT_POLICY
from e2e.testbed.cluster.kubeconfig import write_kubeconfig
from e2e.testbed.cluster.pki import Authority, Identity, write_key
from e2e.testbed.host import processes
from e2e.testbed.host.clock import PATIENCE_S, wait_until
from e2e.testbed.host.ports import free_ports
from e2e.testbed.host.processes import MARKER, Process

SERVICE_CIDR = "10.96.0.0/16"
_SERVICE_IP = "10.96.0.1"
_KUBECTL_S = PATIENCE_S + 60
"""So that kubectl's own deadline, which names what it waited for, comes first."""


class KubectlError(RuntimeError):
    """kubectl answered with an error; the message is what it printed."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a control plane listens."""

    host: str
    port: int
    etcd_port: int
    etcd_peer_port: int
    enter: Sequence[str] = ()
    """Command prefix that enters the site's namespaces; empty on loopback."""

    @classmethod
    def loopback(cls) -> Endpoint:
        """Choose free ports on loopback."""
        port, etcd_port, etcd_peer_port = free_ports(3)
        return cls("127.0.0.1", port, etcd_port, etcd_peer_port)

    @classmethod
    def site(cls, address: str, enter: Sequence[str]) -> Endpoint:
        """Listen on a site's own address: its network namespace leaves every port free."""
        return cls(address, 6443, 2379, 2380, enter)


@dataclass(frozen=True, slots=True)
class Home:
    """Where a control plane writes, and what its processes are bound to."""

    folder: Path
    marker: str = ""
    """By which its processes are found again; empty: by nothing."""
    die_with_parent: bool = True


class ControlPlane:
    """A running control plane; use it as a context manager or call ``start`` and ``stop``."""

    def __init__(
        self,
        binaries: Binaries,
        home: Home | None = None,
        *,
        endpoint: Endpoint | None = None,
        controllers: bool = False,
        scheduler: bool = False,
        node_grace_s: int = 50,
        audit: Mapping[str, object] | None = AUDIT_POLICY,
    ) -> None:
        """``home``: None for a new folder that goes when it stops.

        ``node_grace_s``: a Node that nobody keeps alive stays Ready so long.
        ``audit``: what to write down, as an audit policy; a benchmark pays only for what it counts from.
        """
        self._binaries = binaries
        self._own_folder = home is None
        self._home = home or Home(Path(tempfile.mkdtemp(prefix="hansa-cp-")))
        self.folder = self._home.folder
        self.endpoint = endpoint or Endpoint.loopback()
        self.url = f"https://{self.endpoint.host}:{self.endpoint.port}"
        self.audit_log = self.folder / "audit.log"
        self.kubeconfig = self.folder / "admin.kubeconfig"
        self.processes: list[Process] = []
        self._node_grace_s = node_grace_s
        self._audit = audit
        self._env = {MARKER: self._home.marker} if self._home.marker else {}
        self._extras = [
            name
            for name, wanted in (
                ("kube-controller-manager", controllers),
                ("kube-scheduler", scheduler),
            )
            if wanted
        ]

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and remove what it wrote."""
        self.stop()

    # ---- life ------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything; returns when the API server answers ``/readyz``."""
        try:
            self._make_identities()
            self._launch("etcd", self._etcd_flags())
            self._launch("kube-apiserver", self._apiserver_flags())
            self._wait_ready()
            for name in self._extras:
                self._launch(name, self._controller_flags(name))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything in reverse order; removes the folder if it made it."""
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- use -------------------------------------------------------------------------------

    def kubectl(self, *args: str | Path, stdin: str | None = None) -> str:
        """Run kubectl as the admin and return what it printed; raises ``KubectlError``."""
        done = subprocess.run(  # the testbed's own kubectl
            [self._binaries["kubectl"], "--kubeconfig", self.kubeconfig, *args],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=_KUBECTL_S,
            env=os.environ | self._env,
        )
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(map(str, args))}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects, server side."""
        body = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=body)

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Return a kubeconfig with a signed client certificate for ``user`` in ``groups``."""
        identity = self.client_ca.issue_client(user, groups)
        return self._write_kubeconfig(identity.cert.with_suffix(".kubeconfig"), identity)

    # ---- parts -----------------------------------------------------------------------------

    def _make_identities(self) -> None:
        pki = self.folder / "pki"
        self.server_ca = Authority(pki / "server", name="hansa-testbed-servers")
        self.client_ca = Authority(pki / "client", name="hansa-testbed-clients")
        self.ca_path = self.server_ca.identity.cert
        hosts = {self.endpoint.host, "127.0.0.1", "localhost", _SERVICE_IP}
        services = {"kubernetes", "kubernetes.default", "kubernetes.default.svc"}
        self._serving = self.server_ca.issue_server("kube-apiserver", sorted(hosts | services))
        self._to_kubelet = self.client_ca.issue_client("apiserver-kubelet", ["system:masters"])
        self.admin = self.client_ca.issue_client("admin", ["system:masters"])
        self._service_account_key = pki / "service-account.key"
        write_key(self._service_account_key, ec.generate_private_key(ec.SECP256R1()))
        self.admin_token = secrets.token_hex(16)
        self._tokens = pki / "tokens.csv"
        self._tokens.touch(mode=0o600)
        self._tokens.write_text(f'{self.admin_token},admin,admin,"system:masters"\n')
        self._write_kubeconfig(self.kubeconfig, self.admin)

    def _etcd_flags(self) -> dict[str, object]:
        client = f"http://127.0.0.1:{self.endpoint.etcd_port}"
        peer = f"http://127.0.0.1:{self.endpoint.etcd_peer_port}"
        return {
            "data-dir": self.folder / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        }

    def _apiserver_flags(self) -> dict[str, object]:
        return {
            "etcd-servers": f"http://127.0.0.1:{self.endpoint.etcd_port}",
            "bind-address": "0.0.0.0" if self.endpoint.enter else self.endpoint.host,  # noqa: S104  # own netns
            "advertise-address": self.endpoint.host,
            # A loopback address may not stand behind the `kubernetes` service: publish none then.
            "endpoint-reconciler-type": "lease" if self.endpoint.enter else "none",
            "secure-port": self.endpoint.port,
            "tls-cert-file": self._serving.cert,
            "tls-private-key-file": self._serving.key,
            "client-ca-file": self.client_ca.identity.cert,
            "token-auth-file": self._tokens,
            "kubelet-client-certificate": self._to_kubelet.cert,
            "kubelet-client-key": self._to_kubelet.key,
            "kubelet-preferred-address-types": "InternalIP",
            "service-cluster-ip-range": SERVICE_CIDR,
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": self._service_account_key,
            "service-account-signing-key-file": self._service_account_key,
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "allow-privileged": "true",
            **({} if self._audit is None else self._audit_flags(self._audit)),
        }

    def _audit_flags(self, wanted: Mapping[str, object]) -> dict[str, object]:
        policy = self.folder / "audit-policy.yaml"
        policy.write_text(yaml.safe_dump(wanted))
        return {"audit-policy-file": policy, "audit-log-path": self.audit_log}

    def _controller_flags(self, name: str) -> dict[str, object]:
        identity = self.client_ca.issue_client(f"system:{name}")
        kubeconfig = self._write_kubeconfig(identity.cert.with_suffix(".kubeconfig"), identity)
        flags: dict[str, object] = {
            "kubeconfig": kubeconfig,
            "authentication-kubeconfig": kubeconfig,
            "authorization-kubeconfig": kubeconfig,
            "leader-elect": "false",
            "bind-address": "127.0.0.1",
            "secure-port": "0",
        }
        if name == "kube-controller-manager":
            flags |= self._controller_manager_flags()
        return flags

    def _controller_manager_flags(self) -> dict[str, object]:
        signer = self.client_ca.identity
        return {
            "controllers": "*,bootstrap-signer-controller,token-cleaner-controller,-node-ipam-controller",
            "use-service-account-credentials": "true",
            "node-monitor-grace-period": f"{self._node_grace_s}s",
            "service-account-private-key-file": self._service_account_key,
            "root-ca-file": self.ca_path,
            "cluster-signing-cert-file": signer.cert,
            "cluster-signing-key-file": signer.key,
        }

    def _launch(self, name: str, flags: dict[str, object]) -> None:
        argv = [str(self._binaries[name]), *(f"--{key}={value}" for key, value in flags.items())]
        self.processes.append(
            processes.start(
                name,
                argv,
                log=self.folder / f"{name}.log",
                enter=self.endpoint.enter,
                env=self._env,
                die_with_parent=self._home.die_with_parent,
            )
        )

    def _wait_ready(self) -> None:
        trust = ssl.create_default_context(cafile=str(self.ca_path))
        trust.load_cert_chain(self.admin.cert, self.admin.key)

        def ready() -> bool:
            processes.check_alive(self.processes, self.folder)
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", context=trust, timeout=5):  # noqa: S310  # our own https address
                    return True
            except (urllib.error.URLError, OSError):
                return False

        wait_until(ready, what=f"the API server at {self.url}")

    def _write_kubeconfig(self, path: Path, identity: Identity) -> Path:
        return write_kubeconfig(path, server=self.url, ca=self.ca_path, identity=identity)
