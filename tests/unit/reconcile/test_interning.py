"""What many jobs have in common is read once and kept once; what differs, or is unsound, is not shared."""

from __future__ import annotations

import weakref

import orjson
import pytest
from pydantic import ValidationError

from hansa.api.aijob import AIJobSpec
from hansa.api.texts import first_fault
from hansa.reconcile.hub.job_view import parse_spec, shape_of
from hansa.reconcile.hub.nodes import residency_rule
from hansa.reconcile.interning import Derived, Interner
from tests.residency_kit import stands_in
from tests.unit.reconcile.hub.hub_objects import SPEC


def spec(**changes):
    return parse_spec({**SPEC, **changes}).spec


def test_jobs_that_ask_for_the_same_share_what_was_read_of_it():
    one, two = spec(), spec(priority=7)

    assert one.ray is two.ray
    assert one.residency is two.residency
    assert shape_of(one) is shape_of(two)
    assert residency_rule(one.residency) is residency_rule(two.residency)
    assert two.priority == 7


def test_specs_spelled_alike_are_one_as_long_as_a_job_has_them():
    wire = {**SPEC, "priority": 41}
    one, two = (parse_spec(orjson.loads(orjson.dumps(wire))) for _ in range(2))

    assert one is two
    assert parse_spec({**wire, "priority": 42}) is not one
    seen = weakref.ref(one)
    del one, two
    for priority in range(100, 200):
        parse_spec({**SPEC, "priority": priority})
    assert seen() is None


def test_what_is_read_is_what_would_be_read_alone():
    assert spec() == AIJobSpec.model_validate(SPEC)


@pytest.mark.parametrize(
    "changes", [{"residency": stands_in("FI")}, {"ray": {"version": "2.61.0"}}]
)
def test_jobs_that_differ_share_nothing_of_it(changes):
    (name,) = changes

    assert getattr(spec(**changes), name) != getattr(spec(), name)
    assert getattr(spec(**changes), name) == getattr(
        AIJobSpec.model_validate({**SPEC, **changes}), name
    )


UNSOUND = {
    "a place that does not exist": {"residency": stands_in("ZZ")},
    "half a residency": {"residency": {"location": {"allow": ["EE"]}}},
    "no object": {"ray": "2.60.0"},
    "a number beyond 64 bits": {"ray": {**SPEC["ray"], "workers": {"count": 2**70}}},
    "an old Ray": {"ray": {"version": "2.9.0"}},
}


@pytest.mark.parametrize("case", UNSOUND)
@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
def test_an_unsound_part_is_told_as_ever(case, again):
    wire = {**SPEC, **UNSOUND[case]}
    with pytest.raises(ValidationError) as alone:
        AIJobSpec.model_validate(wire)
    if again:
        parse_spec(wire)

    told = parse_spec(wire)

    assert told.spec is None
    assert told.fault == first_fault(alone.value) or "exceeds safe integer" in told.fault


def test_the_oldest_makes_room():
    made = []
    alike = Interner(lambda wire: made.append(wire) or len(made), most=2)

    assert [alike.of(wire) for wire in ("a", "b", "a", "c", "b", "a")] == [1, 2, 1, 3, 2, 4]
    assert made == ["a", "b", "c", "a"]


def test_what_is_derived_is_of_that_very_object():
    derived = Derived(len, most=2)
    lists = [[0] * size for size in range(50)]

    assert [derived.of(one) for one in lists] == [*range(50)]
    assert [derived.of([0] * size) for size in range(50)] == [*range(50)]
