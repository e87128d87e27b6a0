"""The base system of the images: what is there goes in as it is, and nothing stays open."""

from __future__ import annotations

import gc
import io
import tarfile

from e2e.testbed.rootfs import add_system


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
