"""What a machine leaves behind may end, and its cgroups with it, while they are being removed."""

from pathlib import Path

import pytest

from e2e.testbed.host import cgroups


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


@pytest.mark.parametrize(
    ("marker", "group", "weight"),
    [
        ("cpu/cgroup.procs", "cpu/machine/cpu.shares", 4096),
        ("cgroup.controllers", "machine/cpu.weight", 400),
    ],
    ids=["v1", "v2"],
)
def test_a_machine_weighs_as_much_as_several_programs(tmp_path, monkeypatch, marker, group, weight):
    setting = tmp_path / group
    setting.parent.mkdir(parents=True)
    for path in (tmp_path / marker, setting):  # as the kernel makes them
        path.touch()
    monkeypatch.setattr(cgroups, "_ROOT", tmp_path)

    cgroups.make("machine")

    assert int(setting.read_text()) == weight
