"""Settings that cannot be used are told by the variable that holds them."""

import pytest

from hansa.exporter.settings import ExporterSettings
from hansa.hub.settings import HubSettings
from hansa.member.settings import MemberSettings
from hansa.process.environment import read_settings

WRONG = {
    "out of range": (HubSettings, {"HANSA_HUB_GRANTS__VALIDITY_SECONDS": "5"}, None),
    "no number": (HubSettings, {"HANSA_HUB_PLANNING__TICK_SECONDS": "soon"}, None),
    "missing": (MemberSettings, {}, "HANSA_MEMBER_NODE"),
    "unknown": (HubSettings, {"HANSA_HUB_GRANTS__VALIDTY": "5"}, None),
    "not JSON": (HubSettings, {"HANSA_HUB_GRANTS": "{"}, "HANSA_HUB_*"),
    "flat": (ExporterSettings, {"HANSA_EXPORTER_PORT": "99999"}, None),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_setting_is_told_by_its_variable(case, monkeypatch):
    kind, variables, expected = case
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as end:
        read_settings(kind)

    assert (expected or next(iter(variables))) + ": " in end.value.code


def test_all_wrong_settings_are_told_at_once(monkeypatch):
    monkeypatch.setenv("HANSA_HUB_GRANTS__VALIDITY_SECONDS", "5")
    monkeypatch.setenv("HANSA_HUB_NODES__LEASE_GRACE_SECONDS", "-1")

    with pytest.raises(SystemExit) as end:
        read_settings(HubSettings)

    assert "VALIDITY_SECONDS" in end.value.code
    assert "LEASE_GRACE_SECONDS" in end.value.code


def test_good_settings_are_read(monkeypatch):
    monkeypatch.setenv("HANSA_MEMBER_NODE", "tartu")
    assert read_settings(MemberSettings).node == "tartu"


POOLS = {
    "no list": ("north", "a list is written as JSON"),
    "no name": ('["North"]', "HANSA_HUB_LEADERSHIP__POOLS__0: String should match pattern"),
}


@pytest.mark.parametrize("case", POOLS)
def test_a_list_that_is_none_is_told_with_the_way_out(monkeypatch, case):
    value, words = POOLS[case]
    monkeypatch.setenv("HANSA_HUB_LEADERSHIP__POOLS", value)
    with pytest.raises(SystemExit) as end:
        read_settings(HubSettings)
    assert words in str(end.value)
    monkeypatch.setenv("HANSA_HUB_LEADERSHIP__POOLS", '["north", "baltic"]')
    assert read_settings(HubSettings).leadership.pools == ("north", "baltic")
