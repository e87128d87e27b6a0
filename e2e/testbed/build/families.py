"""Which third-party programs the testbed runs, in which version, and where each may come from.

A family is one Go module, other people's or a small one of our own: mixing modules in one ``go.mod``
raises each other's versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Release:
    """An official download. ``{version}``, ``{number}`` (no ``v``) and ``{binary}`` are filled in."""

    url: str
    checksums: str
    member: str = ""
    """Path inside the tar archive; empty when the download is the binary itself."""


@dataclass(frozen=True, slots=True)
class Family:
    """One module, the binaries made from it and how to recognise one already installed."""

    name: str
    version: str
    module: str
    packages: Mapping[str, str]
    """Binary name to the Go package it is built from."""
    version_args: tuple[str, ...] = ()
    """What makes an installed binary print its version; empty: never taken from PATH."""
    matching_parts: int = 2
    """How many leading numbers of the version an installed binary must share."""
    release: Release | None = None
    ldflags: str = "-s -w"
    staging_version: str = ""
    """Version of the ``k8s.io`` staging modules that the module requires as v0.0.0."""
    build_s: Mapping[str, int] = field(default_factory=dict)
    """Seconds a cold build took on 2 cores, so that who waits knows for how long."""
    version_args_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source: Path | None = None
    """A program of our own around other people's modules: its ``go.mod`` pins them."""

    @property
    def folder(self) -> str:
        """Name of the family's cache folder."""
        return f"{self.name}-{self.version}"


_KUBERNETES = "v1.37.2"
_STAMP = "k8s.io/component-base/version"
_CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_NODE = ("kubelet", "kube-proxy", "kubectl")
_RELEASES = "https://github.com/{repo}/releases/download/{{version}}/"


def _github(repo: str, asset: str, checksums: str, member: str = "") -> Release:
    base = _RELEASES.format(repo=repo)
    return Release(url=base + asset, checksums=base + checksums, member=member)


KUBERNETES = Family(
    name="kubernetes",
    version=_KUBERNETES,
    module="k8s.io/kubernetes",
    packages={name: f"k8s.io/kubernetes/cmd/{name}" for name in _CONTROL_PLANE + _NODE},
    version_args=("--version",),
    version_args_of={"kubectl": ("version", "--client")},
    release=Release(
        url="https://dl.k8s.io/{version}/bin/linux/amd64/{binary}",
        checksums="https://dl.k8s.io/{version}/bin/linux/amd64/{binary}.sha256",
    ),
    ldflags=(
        f"-s -w -X {_STAMP}.gitVersion={_KUBERNETES} -X {_STAMP}.gitMajor=1 -X {_STAMP}.gitMinor=37"
    ),
    staging_version="v0.37.2",
    build_s={
        "kube-apiserver": 325,
        "kube-controller-manager": 106,
        "kubelet": 29,
        "kubectl": 24,
        "kube-proxy": 13,
        "kube-scheduler": 12,
    },
)
ETCD = Family(
    name="etcd",
    version="v3.7.3",
    module="go.etcd.io/etcd/server/v3",
    packages={"etcd": "go.etcd.io/etcd/server/v3"},
    build_s={"etcd": 28},
    version_args=("--version",),
    release=_github(
        "etcd-io/etcd",
        "etcd-{version}-linux-amd64.tar.gz",
        "SHA256SUMS",
        "etcd-{version}-linux-amd64/etcd",
    ),
)
KWOK = Family(
    name="kwok",
    version="v0.8.0",
    module="sigs.k8s.io/kwok",
    packages={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    build_s={"kwok": 74},
    version_args=("--version",),
    release=_github("kubernetes-sigs/kwok", "kwok-linux-amd64", "kwok-linux-amd64.sha256"),
)
HELM = Family(
    name="helm",
    version="v3.22.0",
    module="helm.sh/helm/v3",
    packages={"helm": "helm.sh/helm/v3/cmd/helm"},
    build_s={"helm": 104},
    version_args=("version", "--short"),
    matching_parts=1,
    release=Release(
        url="https://get.helm.sh/helm-{version}-linux-amd64.tar.gz",
        checksums="https://get.helm.sh/helm-{version}-linux-amd64.tar.gz.sha256sum",
        member="linux-amd64/helm",
    ),
)
KUBERAY = Family(
    name="kuberay",
    version="v1.6.1",
    module="github.com/ray-project/kuberay/ray-operator",
    packages={"manager": "github.com/ray-project/kuberay/ray-operator"},
    build_s={"manager": 148},
)
COREDNS = Family(
    name="coredns",
    version="v1.15.0",
    module="github.com/coredns/coredns",
    packages={"coredns": "github.com/coredns/coredns"},
    build_s={"coredns": 134},
    version_args=("-version",),
    release=_github(
        "coredns/coredns",
        "coredns_{number}_linux_amd64.tgz",
        "coredns_{number}_linux_amd64.tgz.sha256",
        "coredns",
    ),
)
KUBECONFORM = Family(
    name="kubeconform",
    version="v0.8.0",
    module="github.com/yannh/kubeconform",
    packages={"kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform"},
    build_s={"kubeconform": 10},
    version_args=("-v",),
    release=_github(
        "yannh/kubeconform", "kubeconform-linux-amd64.tar.gz", "CHECKSUMS", "kubeconform"
    ),
)
ACTIONLINT = Family(
    name="actionlint",
    version="v1.7.12",
    module="github.com/rhysd/actionlint",
    packages={"actionlint": "github.com/rhysd/actionlint/cmd/actionlint"},
    build_s={"actionlint": 36},
    version_args=("--version",),
    release=_github(
        "rhysd/actionlint",
        "actionlint_{number}_linux_amd64.tar.gz",
        "actionlint_{number}_checksums.txt",
        "actionlint",
    ),
)

TESSERA = Family(
    name="tessera",
    version="v1.0.4",
    module="github.com/transparency-dev/tessera",
    packages={"fsck": "github.com/transparency-dev/tessera/cmd/fsck"},
    build_s={"fsck": 40},
)
TORCHWOOD = Family(
    name="torchwood",
    version="v0.6.1",
    module="filippo.io/torchwood",
    packages={"litewitness": "filippo.io/torchwood/cmd/litewitness"},
    build_s={"litewitness": 70},
)
_JUDGE = Path(__file__).parent / "logjudge"
LOGJUDGE = Family(
    name="logjudge",
    version=sha256(b"".join(f.read_bytes() for f in sorted(_JUDGE.glob("*")))).hexdigest()[:12],
    module="hansa.dev/logjudge",
    packages={"logjudge": "."},
    build_s={"logjudge": 10},
    source=_JUDGE,
)

FAMILIES = {
    f.name: f
    for f in (
        *(KUBERNETES, ETCD, KWOK, HELM, KUBERAY, COREDNS, KUBECONFORM, ACTIONLINT),
        *(TESSERA, TORCHWOOD, LOGJUDGE),
    )
}
FAMILY_OF = {binary: f for f in FAMILIES.values() for binary in f.packages}
