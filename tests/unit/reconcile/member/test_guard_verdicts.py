"""What the guard decides, as a table, over nonsense, and against every order of events."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.model.times import rfc3339
from hansa.reconcile.member import guard_verdicts as guard
from hansa.reconcile.member.contracts.time_limits import Contract, terms
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.guard_verdicts import (
    Sight,
    read_run,
    read_runs,
    renewals,
    says_stopped,
    verdicts,
)
from hansa.reconcile.member.workload import WorkloadView

NOW = 1_000_000.0
UID = "0f8c2f4e-7c1c-4f7b-9d9a-5d2f1e8a7b60"
ALIKE = UID[:-1] + "1"
"""Another uid that is alike in its first 16 digits."""
HOUR = Contract(unattended_limit_s=3585, max_runtime_s=7200, granted_s=NOW - 10_000)
SIGHT = Sight(node="tartu", now_s=NOW, contact_s=NOW - 10, contact_age_s=10)


def namespace(name="aij-a-e1", *, uid=UID, epoch="1", node="tartu", age_s=600.0, **metadata):
    labels = {"hansa.dev/job-uid": uid, "hansa.dev/epoch": epoch, "hansa.dev/node": node}
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "labels": {key: value for key, value in labels.items() if value is not None},
            "creationTimestamp": rfc3339(NOW - age_s),
            "annotations": terms(HOUR),
        }
        | metadata
    }


def seen(**changes):
    return replace(SIGHT, **changes)


def contact(age_s):
    return seen(contact_s=NOW - age_s, contact_age_s=age_s)


def work(**view):
    return {"aij-a-e1": WorkloadView(created_s=NOW - 600, **view)}


YOUNG = {
    "annotations": terms(replace(HOUR, granted_s=NOW - 100)),
    "creationTimestamp": rfc3339(NOW - 99),
}
OLD_AND_SAID_TO_BE_YOUNG = {
    "annotations": terms(replace(HOUR, granted_s=NOW - 100)),
    "creationTimestamp": rfc3339(NOW - 9000),
}
GONE = {"deletionTimestamp": rfc3339(NOW)}
TABLE = {
    "all is well": (namespace(), SIGHT, None),
    "stopped": (namespace(), seen(stopped=True), EndReason.STOPPED),
    "stopped, another league's": (
        namespace(node="riga"),
        seen(stopped=True),
        EndReason.STOPPED,
    ),
    "stopped, and going": (namespace(**GONE), seen(stopped=True), None),
    "not yet unattended": (namespace(), contact(3584), None),
    "unattended": (namespace(), contact(3585), EndReason.UNATTENDED),
    "unattended, another league's": (namespace(node="riga"), contact(3585), None),
    "unattended, nobody's": (namespace(node=None), contact(3585), EndReason.UNATTENDED),
    "no contact that counts": (
        namespace(),
        seen(contact_s=None, contact_age_s=math.inf),
        EndReason.UNATTENDED,
    ),
    "no contact, granted a moment ago": (
        namespace(**YOUNG),
        seen(contact_s=None, contact_age_s=math.inf),
        None,
    ),
    "no contact, and said to be granted after it was made": (
        namespace(**OLD_AND_SAID_TO_BE_YOUNG),
        seen(contact_s=None, contact_age_s=math.inf),
        EndReason.UNATTENDED,
    ),
    "terms unreadable": (namespace(annotations=None), contact(45), EndReason.UNATTENDED),
    "terms unreadable, the hub there": (namespace(annotations=None), SIGHT, None),
    "its pods were told to end": (
        namespace(),
        seen(alive_until_s={"aij-a-e1": NOW}),
        EndReason.UNATTENDED,
    ),
    "its pods may live": (namespace(), seen(alive_until_s={"aij-a-e1": NOW + 1}), None),
    "ran too long": (
        namespace(age_s=8000),
        seen(works=work(started=True, running_s=NOW - 7261)),
        EndReason.DEADLINE_EXCEEDED,
    ),
    "ran long": (namespace(age_s=8000), seen(works=work(started=True, running_s=NOW - 7260)), None),
    "never up": (namespace(age_s=961), seen(works=work()), EndReason.NEVER_STARTED),
    "not up for long": (namespace(age_s=960), seen(works=work()), None),
    "its driver runs": (
        namespace(age_s=7201),
        seen(works=work(started=True)),
        None,
    ),
    "its command begins anew after its head was killed": (
        namespace(age_s=7201),
        seen(
            works=work(running_s=NOW - 7000),
            alive_until_s={"aij-a-e1": NOW + 1},
            begun=frozenset({"aij-a-e1"}),
        ),
        None,
    ),
    "up, and whether its command has begun cannot be read": (
        namespace(age_s=7201),
        seen(works=work(running_s=NOW - 7000), alive_until_s={"aij-another": NOW + 1}),
        None,
    ),
    "up, and its command never begun": (
        namespace(age_s=961),
        seen(works=work(running_s=NOW - 900), alive_until_s={"aij-a-e1": NOW + 1}),
        EndReason.NEVER_STARTED,
    ),
    "up, and its command not begun for long": (
        namespace(age_s=960),
        seen(works=work(running_s=NOW - 900), alive_until_s={"aij-a-e1": NOW + 1}),
        None,
    ),
    "never made": (
        namespace(age_s=7201),
        seen(works={"aij-a-e1": None}),
        EndReason.NEVER_STARTED,
    ),
    "old, its work unread": (namespace(age_s=8160), SIGHT, None),
    "too old, its work unread": (namespace(age_s=8161), SIGHT, EndReason.DEADLINE_EXCEEDED),
}


@pytest.mark.parametrize(("thing", "sight", "reason"), TABLE.values(), ids=TABLE)
def test_verdicts(thing, sight, reason):
    expected = {} if reason is None else {"aij-a-e1": reason}
    assert verdicts(read_runs([thing]), sight) == expected


SEVERAL = {
    "the older of two epochs": ([("e1", UID, "1", 600), ("e2", UID, "2", 500)], {"e1"}),
    "the older, though made later": ([("e1", UID, "1", 400), ("e2", UID, "2", 500)], {"e1"}),
    "by number, not by letter": ([("e9", UID, "9", 600), ("e10", UID, "10", 500)], {"e9"}),
    "all but the newest": (
        [("e1", UID, "1", 9), ("e2", UID, "2", 9), ("e3", UID, "3", 9)],
        {"e1", "e2"},
    ),
    "the one whose epoch is unreadable": ([("x", UID, "two", 5), ("e1", UID, "1", 9)], {"x"}),
    "a copy of the same epoch": ([("e1", UID, "1", 600), ("copy", UID, "1", 5)], {"copy"}),
    "uids that are only alike": ([("a", UID, "1", 600), ("b", ALIKE, "2", 500)], set()),
}


@pytest.mark.parametrize(("made", "ended"), SEVERAL.values(), ids=SEVERAL)
def test_one_live_run_a_job(made, ended):
    things = [namespace(name, uid=uid, epoch=e, age_s=age) for name, uid, e, age in made]
    assert verdicts(read_runs(things), SIGHT) == dict.fromkeys(ended, EndReason.SUPERSEDED)


def test_a_run_that_goes_already_supersedes_nobody():
    things = [namespace("e1"), namespace("e2", epoch="2", **GONE)]
    assert verdicts(read_runs(things), SIGHT) == {}


def test_another_leagues_job_of_the_same_uid_is_another_job():
    things = [namespace("e1"), namespace("e2", epoch="2", node="riga")]
    assert verdicts(read_runs(things), SIGHT) == {}


def test_the_canarys_namespace_is_no_run():
    things = [namespace("hansa-canary"), namespace("hansa-canary-2")]
    assert set(verdicts(read_runs(things), seen(stopped=True))) == {"hansa-canary-2"}


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.floats()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.dictionaries(
    st.sampled_from(["labels", "annotations", "creationTimestamp", "ownerReferences"]), JUNK
)


@given(FIELDS, JUNK)
def test_nonsense_in_one_namespace_keeps_nobody_from_judging_all(fields, epoch):
    """An object always has a name and a uid; of the rest, anything may stand there."""
    metadata = {"name": "bad", "uid": "u"} | fields
    if isinstance(metadata.get("labels"), dict):
        metadata["labels"]["hansa.dev/epoch"] = epoch
    things = [{"metadata": metadata}, namespace("good")]
    assert set(verdicts(read_runs(things), seen(stopped=True))) == {"bad", "good"}
    assert "good" not in verdicts(read_runs(things), SIGHT)


SWITCHES = {
    "open": ({"spec": {"switch": "Open"}}, False),
    "left out": ({"spec": {"jurisdiction": "EE"}}, False),
    "paused": ({"spec": {"switch": "Paused"}}, False),
    "stopped": ({"spec": {"switch": "Stopped"}}, True),
    "stopped beside nonsense": ({"spec": {"switch": "Stopped", "jurisdiction": 7}}, True),
    "stopped beside a law that contradicts itself": (
        {"spec": {"switch": "Stopped", "jurisdiction": "XX", "legalControl": []}},
        True,
    ),
    "another word": ({"spec": {"switch": "Halt"}}, True),
    "lower case": ({"spec": {"switch": "open"}}, True),
    "no word": ({"spec": {"switch": None}}, True),
    "a list": ({"spec": {"switch": ["Open"]}}, True),
    "no spec": ({"metadata": {}}, True),
    "a spec that is none": ({"spec": "Open"}, True),
    "no object": ([], True),
}


@pytest.mark.parametrize(("policy", "stops"), SWITCHES.values(), ids=SWITCHES)
def test_the_raw_switch(policy, stops):
    assert says_stopped(policy) is stops


def until(**changes):
    sight = seen(**({"alive_until_s": {"aij-a-e1": NOW + 3000.0}} | changes))
    return renewals(read_runs([namespace(**changes.pop("thing", {}))]), sight)


def test_what_goes_on_is_told_when_it_is_worth_a_write():
    """The validity of an hour's contract is 3,570 s, renewed in steps of 300."""
    due = NOW - 10 + 3570
    assert until() == {"aij-a-e1": due}
    assert until(alive_until_s={"aij-a-e1": due - 300}) == {"aij-a-e1": due}
    assert until(alive_until_s={"aij-a-e1": due - 299}) == {}


NOT_RENEWED = {
    "stopped": {"stopped": True},
    "contact unknown": {"contact_s": None},
    "no file, or unread": {"alive_until_s": {}},
}


@pytest.mark.parametrize("changes", NOT_RENEWED.values(), ids=NOT_RENEWED)
def test_nobody_is_told_to_live_by_a_guess(changes):
    assert until(**changes) == {}


def test_who_goes_and_who_is_another_leagues_is_not_told():
    sight = seen(alive_until_s={"aij-a-e1": NOW + 1.0})
    assert renewals(read_runs([namespace(**GONE)]), sight) == {}
    assert renewals(read_runs([namespace(node="riga")]), sight) == {}


def test_only_old_runs_need_a_look_at_their_work():
    things = [namespace("old", age_s=961), namespace("young", age_s=960)]
    things.append(namespace("going", age_s=9999, **GONE))
    assert [run.name for run in guard.late_runs(read_runs(things), SIGHT)] == ["old"]


def test_what_has_begun_is_looked_for_until_it_was_seen():
    runs = read_runs([namespace("new"), namespace("seen"), namespace("no file")])
    until_s, begun = {"new": NOW + 99, "seen": NOW + 99}, frozenset({"seen"})

    def unseen(**known):
        return [run.name for run in guard.unseen_starts(runs, seen(**known))]

    assert unseen(alive_until_s=until_s, begun=begun) == ["new"]
    assert unseen() == []


def test_what_is_deleted_is_what_was_judged():
    assert read_run(namespace()).uid == "uid-of-aij-a-e1"
