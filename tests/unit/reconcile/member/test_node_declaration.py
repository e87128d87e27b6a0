"""What the member writes: grant statuses, its own declaration, conditions that move only in truth."""

from __future__ import annotations

import pytest

from hansa.api.memberpolicy import MemberPolicyStatus
from hansa.api.sovereignnode import SovereignNodeStatus
from hansa.api.workgrant import GRANT_FORMAT, WorkGrantStatus
from hansa.grants.reasons import MemberReason, Objection
from hansa.reconcile.conditions import StatedCondition, merged
from hansa.reconcile.member import grant_status
from hansa.reconcile.member.grant_status import Ending, Stamp
from hansa.reconcile.member.lifecycle import EndReason, Reported
from hansa.reconcile.member.node_declaration import (
    Enforcement,
    Health,
    hub_note,
    policy_status,
)
from hansa.reconcile.member.outgoing import Outgoing
from tests.unit.reconcile.member.declarations import declaration

STAMP = Stamp(1_800_000_000.0, 7)
GRANT = {"metadata": {"name": "g", "generation": 2}, "spec": {}}
RELEASE = {
    "epoch": 1,
    "releasedAt": "2027-01-15T08:00:00Z",
    "keyId": "sha256:" + "0" * 64,
    "signature": "AAAA",
}


def after(grant, patch):
    status = (grant.get("status") or {}) | patch["status"]
    WorkGrantStatus.model_validate(status)
    return grant | {"status": status}


def kinds(grant):
    return {c["type"]: (c["status"], c["reason"]) for c in grant["status"]["conditions"]}


def test_the_story_of_a_run():
    assert grant_status.reported(GRANT) == Reported()
    grant = after(GRANT, grant_status.accepted(GRANT, "aij-1", STAMP))
    assert grant_status.reported(grant) == Reported(accepted=True)
    grant = after(grant, grant_status.running(grant, 1.0, 0.0, STAMP))
    assert grant_status.reported(grant) == Reported(accepted=True, rendered=True, running=True)
    ending = Ending(EndReason.APP_FAILED, 2.0, 5, Outgoing("it failed", "{}", tail="tail"))
    grant = after(grant, grant_status.finished(grant, ending, STAMP))
    assert (grant["status"]["result"], grant["status"]["logTail"]) == ("{}", "tail")
    grant = after(grant, grant_status.released(grant, EndReason.APP_FAILED, RELEASE, STAMP))
    assert grant_status.reported(grant) == Reported(
        accepted=True,
        rendered=True,
        running=True,
        finished=True,
        released=True,
        reason="AppFailed",
    )
    assert kinds(grant) == {
        "Accepted": ("True", "Accepted"),
        "Running": ("False", "AppFailed"),
        "Failed": ("True", "AppFailed"),
        "Released": ("True", "AppFailed"),
    }
    assert grant["status"]["finishedAt"] == "1970-01-01T00:00:02Z"
    assert grant["status"]["policyGeneration"] == 7


def test_an_interrupted_run_neither_failed_nor_succeeded():
    patch = grant_status.released(GRANT, EndReason.CANCELLED, RELEASE, STAMP)
    grant = after(GRANT, patch)
    assert set(kinds(grant)) == {"Released", "Running"}
    assert grant["status"]["finishedAt"]


def test_nothing_is_exported_unless_given():
    ending = Ending(EndReason.SUCCEEDED, 2.0, 0, Outgoing(""))
    status = grant_status.finished(GRANT, ending, STAMP)["status"]
    assert "result" not in status
    assert "logTail" not in status
    assert "exports" not in status


def test_refusals():
    objections = tuple(Objection(MemberReason.PAUSED, f"why {i}") for i in range(6))
    grant = after(GRANT, grant_status.refused(GRANT, objections, STAMP))
    assert kinds(grant) == {"Accepted": ("False", "Paused")}
    assert grant_status.reported(grant).accepted is False
    again = after(GRANT, grant_status.refused_again(GRANT, "Paused", STAMP))
    assert kinds(again) == kinds(grant)


def test_conditions_move_only_when_they_change():
    before = [StatedCondition("A", "True", "X"), StatedCondition("B", "True", "G")]
    first = merged([], before, now_s=1, generation=1)
    second = merged(first, [StatedCondition("A", "True", "Y")], now_s=2, generation=2)
    third = merged(second, [StatedCondition("B", "False", "H")], now_s=3, generation=2)
    assert [c["lastTransitionTime"][-3:] for c in third] == ["01Z", "03Z"]
    assert third[1]["reason"] == "H"


def test_a_declaration_is_a_valid_status():
    status = declaration()
    SovereignNodeStatus.model_validate(status)
    assert status["declaredJurisdiction"] == "EE"
    assert [d["name"] for d in status["datasets"]] == ["cohort"]
    assert declaration(unusable_data=frozenset({"cohort"}))["datasets"] == []


def test_without_a_law_nothing_is_declared():
    status = declaration(policy=None, kuberay_version="", token_end_s=None)
    assert not status.keys() & {"declaredJurisdiction", "inventory", "kuberayVersion"}


def test_enforcement_is_a_valid_status():
    health = Health(clock="600 s off", kuberay="missing")
    said = Enforcement(3, health, "Denied", "sha256:" + "0" * 64, {"Paused": 2}, 30.0, "note")
    status = policy_status(said, [], now_s=1)["status"]
    MemberPolicyStatus.model_validate(status)
    false = {c["type"]: c["reason"] for c in status["conditions"] if c["status"] == "False"}
    assert false == {
        "ClockInSync": "ClockSkewed",
        "KubeRayReady": "KubeRayUnfit",
        "HubAgrees": "HeldAgainstUs",
    }
    bare = policy_status(Enforcement(3, health, "NotRun", "sha256:" + "0" * 64), [], now_s=1)
    assert "lastHubContactTime" not in bare["status"]


def test_what_the_hub_holds_against_us():
    node = {
        "spec": {"accepted": "Pending"},
        "status": {
            "conditions": [
                {"type": "JurisdictionAgreed", "status": "False", "message": "EE here, LV there"},
                {"type": "Ready", "status": "True"},
            ]
        },
    }
    assert (
        hub_note(node)
        == "the hub's admin decision is Pending; JurisdictionAgreed: EE here, LV there"
    )
    assert hub_note({"spec": {"accepted": "Accepted"}}) == ""


NODE_SAID = {
    "nothing": ({}, "the hub's admin decision is Pending"),
    "spec is a number": ({"spec": 7, "status": 7}, "the hub's admin decision is Pending"),
    "a decision that is a list": (
        {"spec": {"accepted": ["Accepted"]}},
        "the hub's admin decision is Pending",
    ),
    "a condition that is none": (
        {
            "spec": {"accepted": "Accepted"},
            "status": {"conditions": [1, None, {}, {"status": "False"}]},
        },
        ": ",
    ),
    "a message that is an object": (
        {
            "spec": {"accepted": "Accepted"},
            "status": {
                "conditions": [{"type": "Ready", "status": "False", "message": {}, "reason": "x"}]
            },
        },
        "Ready: x",
    ),
}


def test_an_agent_says_which_grants_it_reads():
    """Left out, it would read those of the first format alone, as the API has it."""
    assert declaration()["grantFormat"] == GRANT_FORMAT


@pytest.mark.parametrize(("node", "note"), NODE_SAID.values(), ids=NODE_SAID)
def test_what_is_no_word_of_the_hubs_is_left_out(node, note):
    assert hub_note(node) == note


def test_a_note_is_short_whatever_the_hub_says():
    row = {"type": "x" * 5000, "status": "False", "message": "y" * 5000}
    assert len(hub_note({"status": {"conditions": [row] * 50}})) <= 1024


def test_what_is_not_understood_is_said_at_home_alone():
    health = Health(machines="m1: 8 amd.com/gpu of an unknown product")
    assert "MachinesUnderstood" not in {one.type for one in health.conditions()}
    [said] = [one for one in health.conditions_at_home() if one.type == "MachinesUnderstood"]
    assert (said.status, said.reason, said.message) == ("False", "SomeLeftOut", health.machines)


AGREED = {
    "never asked": (None, "", "Unknown", ""),
    "nothing against us": (1.0, "", "True", ""),
    "a dispute": (1.0, "JurisdictionAgreed: x", "False", "JurisdictionAgreed: x"),
}


@pytest.mark.parametrize(("contact_s", "note", "status", "message"), AGREED.values(), ids=AGREED)
def test_the_policy_shows_what_the_hub_holds_against_us(contact_s, note, status, message):
    said = Enforcement(1, Health(), "Denied", "", last_contact_s=contact_s, note=note)
    rows = policy_status(said, [], now_s=STAMP.now_s)["status"]["conditions"]
    (row,) = (row for row in rows if row["type"] == "HubAgrees")
    assert (row["status"], row.get("message", "")) == (status, message)
