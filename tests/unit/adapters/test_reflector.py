"""A mirror believes lists whatever their versions, and events only where they are newer."""

from __future__ import annotations

import pytest

from hansa.adapters.kube.reflector import Mirror


def thing(version: int, *, uid: str = "u", name: str = "a"):
    return {"metadata": {"name": name, "uid": uid, "resourceVersion": str(version)}}


@pytest.fixture
def told():
    return []


@pytest.fixture
def mirror(told):
    def note(kind, one):
        told.append((kind, one["metadata"]["resourceVersion"]))

    return Mirror(on_change=note)


def version(mirror):
    return mirror.get("a")["metadata"]["resourceVersion"]


def test_an_older_event_undoes_nothing(mirror, told):
    mirror.put(thing(5))
    mirror.put(thing(3))
    assert version(mirror) == "5"
    assert told == [("ADDED", "5")]


def test_versions_compare_as_numbers(mirror):
    mirror.put(thing(9))
    mirror.put(thing(10))
    assert version(mirror) == "10"


def test_a_list_replaces_also_where_its_versions_are_lower(mirror, told):
    """So they are when a server was restored from a backup."""
    mirror.put(thing(900))
    mirror.replace([thing(7)])
    assert version(mirror) == "7"
    assert told[-1] == ("MODIFIED", "7")


def test_a_list_repairs_what_no_event_told(mirror, told):
    mirror.put(thing(5))
    mirror.put(thing(6, name="b", uid="v"))
    mirror.replace([thing(8)])
    assert version(mirror) == "8"
    assert mirror.get("b") is None
    assert told[2:] == [("DELETED", "6"), ("MODIFIED", "8")]


def test_a_list_that_says_the_same_tells_nothing(mirror, told):
    mirror.put(thing(5))
    mirror.replace([thing(5)])
    assert told == [("ADDED", "5")]


def test_the_end_of_a_namesake_is_not_its_own(mirror):
    mirror.put(thing(5, uid="new"))
    mirror.drop(thing(6, uid="old"))
    assert version(mirror) == "5"
