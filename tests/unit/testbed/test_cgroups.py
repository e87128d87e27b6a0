"""What a machine leaves behind may end, and its cgroups with it, while they are being removed."""

from pathlib import Path

from e2e.testbed import cgroups


def test_a_cgroup_that_vanishes_meanwhile_is_removed(tmp_path, monkeypatch):
    (tmp_path / "cgroup.controllers").touch()
    (tmp_path / "machine" / "pod").mkdir(parents=True)
    listing = cgroups._kill_all

    def vanish(group: Path) -> None:
        if group.name == "pod":
            group.rmdir()
            listing(group)

    monkeypatch.setattr(cgroups, "_ROOT", tmp_path)
    monkeypatch.setattr(cgroups, "_kill_all", vanish)

    cgroups.remove("machine")

    assert cgroups.remaining("machine") == []
