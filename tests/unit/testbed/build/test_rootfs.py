"""The base system of the images: what is there goes in as it is, and nothing stays open."""

from __future__ import annotations

import gc
import io
import subprocess
import sys
import tarfile

from e2e.testbed.build.rootfs import add_module, add_system


def test_a_tree_goes_in_as_it_is_and_leaves_no_file_open(tmp_path):
    tree, out = tmp_path / "tree", io.BytesIO()
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/motd").write_text("here")
    (tree / "etc/same").hardlink_to(tree / "etc/motd")
    (tree / "motd").symlink_to("etc/motd")

    with tarfile.open(fileobj=out, mode="w") as archive:
        add_system(archive, tree)
    gc.collect()  # an open file would warn now, and warnings are errors

    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        kinds = {info.name.removeprefix("./"): info.type for info in archive}
        names = {"etc/motd", "etc/same"}
        assert {kinds[name] for name in names} == {tarfile.REGTYPE, tarfile.LNKTYPE}
        assert kinds["motd"] == tarfile.SYMTYPE


def test_a_module_runs_from_its_bytecode(tmp_path):
    source, out = tmp_path / "source.py", io.BytesIO()
    source.write_text("print('compiled')")
    with tarfile.open(fileobj=out, mode="w") as archive:
        add_module(archive, source, "lib/said.py")
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "lib/said.py").write_text("print('compiled anew')")

    said = subprocess.check_output([sys.executable, "-c", "import said"], cwd=tmp_path / "lib")

    assert said == b"compiled\n"
