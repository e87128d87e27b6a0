"""Where programs come from: the order, the version check, the checksum."""

import hashlib
import io
import tarfile
from dataclasses import replace

import pytest

from e2e.testbed.build import downloads, gobuild
from e2e.testbed.build.binaries import Binaries, BinariesUnavailableError, find_installed, fits
from e2e.testbed.build.families import (
    ETCD,
    FAMILIES,
    HELM,
    KUBERAY,
    KUBERNETES,
    LOGJUDGE,
    TESSERA,
    TORCHWOOD,
    Release,
)

VERSIONS = {
    "same": (KUBERNETES, "Kubernetes v1.37.2", True),
    "other patch": (KUBERNETES, "Kubernetes v1.37.9", True),
    "other minor": (KUBERNETES, "Kubernetes v1.36.2", False),
    "other major": (HELM, "v4.0.1+g1234", False),
    "other minor of helm": (HELM, "v3.9.0+g1234", True),
    "no version": (ETCD, "command not found", False),
}


@pytest.mark.parametrize(("family", "printed", "expected"), VERSIONS.values(), ids=VERSIONS)
def test_an_installed_program_must_have_a_fitting_version(family, printed, expected):
    assert fits(family, printed) is expected


def test_assets_come_before_path(tmp_path, monkeypatch):
    for folder in ("assets", "path"):
        _program(tmp_path / folder / "etcd", "etcd Version: 3.7.3")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))

    assert find_installed(ETCD, "etcd") == tmp_path / "assets" / "etcd"


def test_a_foreign_version_is_passed_over(tmp_path, monkeypatch):
    _program(tmp_path / "assets" / "etcd", "etcd Version: 3.4.0")
    _program(tmp_path / "path" / "etcd", "etcd Version: 3.7.1")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))

    assert find_installed(ETCD, "etcd") == tmp_path / "path" / "etcd"


def test_the_cache_is_used_before_anything_slow(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    cached = tmp_path / "bin" / ETCD.folder / "etcd"
    _program(cached, "")

    found = Binaries(tmp_path)

    assert found["etcd"] == cached
    assert found.origins["etcd"] == "cached, v3.7.3"


def test_nothing_anywhere_says_what_was_tried(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(BinariesUnavailableError, match=r"cannot get manager v1\.6\.1.*no Go tool"):
        Binaries(tmp_path)["manager"]


def test_no_internet_is_an_answer_not_a_hang():
    assert not downloads.internet_reachable("https://127.0.0.1:1/")


def test_a_release_is_unpacked_after_its_checksum_was_compared(tmp_path):
    family = _released(tmp_path, body=b"#!program")

    downloads.download(family, "etcd", tmp_path / "etcd")

    assert (tmp_path / "etcd").read_bytes() == b"#!program"
    assert (tmp_path / "etcd").stat().st_mode & 0o111


def test_a_release_that_was_changed_is_refused(tmp_path):
    family = _released(tmp_path, body=b"#!program", digest="0" * 64)

    with pytest.raises(downloads.DownloadError, match="does not match"):
        downloads.download(family, "etcd", tmp_path / "etcd")

    assert not (tmp_path / "etcd").exists()


LISTINGS = {
    "bare digest": "a" * 64,
    "named": f"{'b' * 64}  other.tgz\n{'a' * 64}  wanted.tgz\n",
}


@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)
def test_checksum_files_of_both_kinds_are_read(listing):
    assert downloads.checksum_for(listing, "wanted.tgz") == "a" * 64


def test_which_families_have_no_release():
    without = [f for f in FAMILIES.values() if f.release is None]
    assert without == [KUBERAY, TESSERA, TORCHWOOD, LOGJUDGE]


def test_a_program_of_our_own_is_built_anew_when_its_source_changes(tmp_path, monkeypatch):
    """Its version is the digest of its source, so an older build is not taken for it."""
    folder = tmp_path / "module"
    (tmp_path / "source").mkdir()
    (tmp_path / "source/go.mod").write_text("module x\n")
    asked = []
    monkeypatch.setattr(gobuild, "_go", lambda where, *args: asked.append((where, args)))
    gobuild.prepare_module(replace(LOGJUDGE, source=tmp_path / "source"), folder)
    assert (folder / "go.mod").read_text() == "module x\n"
    assert asked == [(folder, ("mod", "tidy"))]
    assert LOGJUDGE.source is not None
    sources = sorted(LOGJUDGE.source.glob("*"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    assert LOGJUDGE.folder == f"logjudge-{digest[:12]}"


def _program(path, says: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def _released(folder, *, body: bytes, digest: str = ""):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        info = tarfile.TarInfo("dir/etcd")
        info.size = len(body)
        archive.addfile(info, io.BytesIO(body))
    asset = folder / "etcd.tgz"
    asset.write_bytes(stream.getvalue())
    digest = digest or hashlib.sha256(stream.getvalue()).hexdigest()
    (folder / "SUMS").write_text(f"{digest}  etcd.tgz\n")
    release = Release(url=asset.as_uri(), checksums=(folder / "SUMS").as_uri(), member="dir/etcd")
    return replace(ETCD, release=release)
