"""A grant as the hub writes it is one that a member accepts, and the signature covers all that was decided."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import pytest

from hansa.api.workgrant import WorkGrantSpec
from hansa.grants.checks import judge
from hansa.grants.envelope import digest, grant_message
from hansa.hub.grant_manifest import grant_manifest
from hansa.reconcile.hub.actions import WriteGrant
from tests.unit.grants.grant_kit import HUB, NODE, NOW_S, UID, facts, job, policy

BODY = job()
ACTION = WriteGrant(
    job_uid=UID,
    job_namespace="hospital",
    job_name="study",
    node="tartu",
    audience=NODE.key_id,
    epoch=3,
    institution="hospital",
    spec_digest=digest(BODY),
    job_spec=BODY,
    workers=2,
    overlays=({"name": "near", "places": ["EE"]},),
    project="screening",
)
OTHER = {
    "job_uid": UID.replace("0", "1"),
    "job_namespace": "clinic",
    "job_name": "trial",
    "node": "riga",
    "audience": HUB.key_id,
    "epoch": 4,
    "institution": "clinic",
    "spec_digest": "sha256:" + "0" * 64,
    "job_spec": job(image="hansa.local/other@sha256:" + "1" * 64),
    "workers": 1,
    "overlays": (),
    "project": "",
    "cancel": "Stop",
}
LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def written(action: WriteGrant = ACTION, **times: float):
    return grant_manifest(
        action, HUB, **{"now_s": NOW_S, "validity_s": 3600.0, "skew_s": 60.0} | times
    )


def test_its_member_accepts_it():
    assert judge(written()["spec"], policy(), facts()).objections == ()


def test_it_holds_from_the_skew_before_now_until_it_has_been_valid():
    spec = written()["spec"]
    assert (spec["notBefore"], spec["notAfter"]) == ("2027-01-15T07:59:00Z", "2027-01-15T09:00:00Z")


def test_no_field_is_left_to_a_default():
    wire = {info.alias or name for name, info in WorkGrantSpec.model_fields.items()}
    assert written()["spec"].keys() == wire
    assert written(replace(ACTION, project=""))["spec"].keys() == wire - {"project"}


def test_every_decision_is_tried():
    assert OTHER.keys() == {field.name for field in fields(WriteGrant)}


@pytest.mark.parametrize("field", OTHER)
def test_what_was_decided_is_signed(field):
    """All but the wish to stop, which may change: whoever may write may stop."""
    changed = written(replace(ACTION, **{field: OTHER[field]}))["spec"]
    is_same = grant_message(changed) == grant_message(written()["spec"])
    assert is_same is (field == "cancel")
    if field == "cancel":
        assert changed["cancel"] == "Stop"


def test_it_is_found_by_what_it_is_of():
    metadata = written()["metadata"]
    assert (metadata["namespace"], metadata["name"]) == ("hansa-node-tartu", f"{UID}-e3")
    assert metadata["labels"] == {
        "hansa.dev/job-uid": UID,
        "hansa.dev/job-name": "study",
        "hansa.dev/job-namespace": "hospital",
        "hansa.dev/epoch": "3",
        "hansa.dev/node": "tartu",
    }


def test_the_longest_names_make_labels():
    longest = replace(ACTION, job_name="n" * 63, job_namespace="s" * 63, node="t" * 52)
    for value in written(replace(longest, epoch=2**31))["metadata"]["labels"].values():
        assert LABEL.fullmatch(value)
