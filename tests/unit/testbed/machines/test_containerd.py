"""A machine's images can be given another file; the template that all machines share keeps its own."""

from __future__ import annotations

from e2e.testbed.machines.containerd import replace_in_images

SNAPSHOTS = "io.containerd.snapshotter.v1.overlayfs/snapshots"
FILE = "opt/examples/a.py"


def cloned(tmp_path):
    """A template with two layers that have the file and one that has not, and two machines."""
    template = tmp_path / "template"
    for name, content in {"1": "right", "2": "older", "3": None}.items():
        folder = template / name / "fs" / "opt" / "examples"
        folder.mkdir(parents=True)
        (folder / "other.txt").write_text("other")
        if content:
            (folder / "a.py").write_text(content)
            (folder / "a.py").chmod(0o755)
    machines = [tmp_path / name / SNAPSHOTS for name in ("cheat", "honest")]
    for machine in machines:
        machine.mkdir(parents=True)
        for layer in template.iterdir():
            (machine / layer.name).symlink_to(layer)
    return template, *machines


def test_one_machine_has_another_file_and_nobody_else(tmp_path):
    template, cheat, honest = cloned(tmp_path)

    assert replace_in_images(tmp_path / "cheat", FILE, b"wrong") == 2

    changed = cheat / "1" / "fs" / FILE
    assert changed.read_text() == (cheat / "2" / "fs" / FILE).read_text() == "wrong"
    assert changed.stat().st_mode & 0o777 == 0o755
    assert changed.with_name("other.txt").read_text() == "other"
    assert (template / "1" / "fs" / FILE).read_text() == "right"
    assert (honest / "1" / "fs" / FILE).read_text() == "right"
    assert (cheat / "3").is_symlink()


def test_it_can_be_put_back(tmp_path):
    template, cheat, _ = cloned(tmp_path)
    replace_in_images(tmp_path / "cheat", FILE, b"wrong")

    assert replace_in_images(tmp_path / "cheat", FILE, b"right") == 2

    assert (cheat / "1" / "fs" / FILE).read_text() == "right"
    assert (template / "2" / "fs" / FILE).read_text() == "older"


def test_an_image_without_the_file_is_none(tmp_path):
    cloned(tmp_path)
    assert replace_in_images(tmp_path / "cheat", "opt/examples/b.py", b"") == 0
