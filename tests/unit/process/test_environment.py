"""Settings that cannot be used are told by the variable that holds them."""

import re
from inspect import isclass
from typing import get_args

import pytest
from pydantic import BaseModel

from hansa.api.meta import PATTERN_ADVICE
from hansa.cli.books.settlement.terms import SettlementTerms
from hansa.exporter.settings import ExporterSettings
from hansa.guard.settings import GuardSettings
from hansa.hub.settings import HubSettings
from hansa.ledger.settings import LedgerSettings
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
    "no name": ('["North"]', "HANSA_HUB_LEADERSHIP__POOLS__0: must be lower case letters"),
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


MISWRITTEN = {
    (HubSettings, "HANSA_HUB_PLANNING__CURRENCY"): "euro",
    (LedgerSettings, "HANSA_LEDGER_TERMS__CURRENCY"): "euro",
    **{
        (MemberSettings, f"HANSA_MEMBER_RUNS__{name}"): value
        for name, value in {
            "IMAGE_PULL_SECRETS": '["Key"]',
            "RUNTIME_CLASS_NAME": "NVIDIA",
            "GPU_RUNTIME_CLASS_NAME": "nvidia;",
            "PRIORITY_CLASS_NAME": "a b",
            "NODE_SELECTOR": '{"a b": "c"}',
            "LABELS": '{"a": "b c"}',
            "ANNOTATIONS": '{"a": "b\\nc"}',
            "SCRATCH_SIZE": "much",
            "TOLERATIONS": '[{"key": "a b", "value": "c d"}]',
            "IMAGE_USERS": '[{"imagePrefix": "https://x y", "uid": 1, "gid": 1}]',
            "DNS": '[{"namespace": "Kube System"}]',
            "PROXY__HTTP": "proxy:3128",
            "PROXY__HTTPS": "https://proxy:3128",
            "PROXY__DIRECT": '["a b"]',
            "PROXY__AUTHORITIES": "A_B",
            "CHECKPOINTS__STORAGE_CLASS": "A_B",
            "CHECKPOINTS__SIZE": "0",
        }.items()
    },
    (MemberSettings, "HANSA_MEMBER_MACHINES__ACCELERATORS"): (
        '[{"resource": "x", "gpuClass": "A B", "classLabel": "a b", "memory": "x", "memoryLabel": "a b",'
        ' "taint": "a b"}]'
    ),
}
RAW = re.compile(r"pattern|\^|\[a-z0-9")


@pytest.mark.parametrize("at", MISWRITTEN, ids=lambda at: at[1])
def test_a_miswritten_text_is_told_in_words_and_with_what_would_be_right(at, monkeypatch):
    kind, variable = at
    monkeypatch.setenv("HANSA_MEMBER_NODE", "tartu")
    monkeypatch.setenv(variable, MISWRITTEN[at])

    with pytest.raises(SystemExit) as end:
        read_settings(kind)

    said = [line for line in end.value.code.splitlines() if variable in line]
    assert said
    assert not [line for line in said if RAW.search(line) or "Value error" in line]
    assert all("must be" in line for line in said)


def patterns(model):
    """Yield the field and the pattern of each text that a model, or one in it, holds to one."""
    for name, field in model.model_fields.items():
        for row in (*field.metadata, *inner(field.annotation)):
            if getattr(row, "pattern", None) is not None:
                yield f"{model.__name__}.{name}", row
        for one in models_in(field.annotation):
            yield from patterns(one)


def inner(annotation):
    for one in get_args(annotation):
        yield from getattr(one, "__metadata__", ())
        yield from inner(one)


def models_in(annotation):
    here = [annotation] if isclass(annotation) and issubclass(annotation, BaseModel) else []
    return [*here, *(found for one in get_args(annotation) for found in models_in(one))]


SETTINGS = (HubSettings, LedgerSettings, MemberSettings, GuardSettings, ExporterSettings)


@pytest.mark.parametrize("kind", [*SETTINGS, SettlementTerms], ids=lambda kind: kind.__name__)
def test_every_pattern_of_what_people_write_has_words(kind):
    bare = {
        name
        for name, row in patterns(kind)
        if row.pattern not in PATTERN_ADVICE and not getattr(row, "advice", "")
    }
    assert not bare


def test_patterns_are_found():
    assert {name for name, _ in patterns(MemberSettings)} > {
        "Runs.scratch_size",
        "Runs.labels",
        "ImageUserRow.image_prefix",
        "RunsProxy.direct",
    }
