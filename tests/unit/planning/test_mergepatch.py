"""A merge patch makes one object out of the other, and names nothing that stays."""

from hypothesis import given
from hypothesis import strategies as st

from hansa.planning.mergepatch import merge_patch

SCALARS = st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2)
OBJECTS = st.recursive(
    st.dictionaries(st.sampled_from("abcd"), SCALARS, max_size=3),
    lambda inner: st.dictionaries(
        st.sampled_from("abcd"), inner | SCALARS | st.lists(SCALARS, max_size=2), max_size=3
    ),
)


def patched(target, patch):
    """RFC 7386, section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = patched(target.get(name), value)
    return target


@given(OBJECTS, OBJECTS)
def test_the_patch_makes_one_out_of_the_other(before, after):
    assert patched(before, merge_patch(before, after)) == after


@given(OBJECTS)
def test_nothing_new_is_no_patch(thing):
    assert merge_patch(thing, thing) == {}


def test_what_stays_is_not_named():
    before = {"node": "tartu", "epoch": 1, "usage": {"gpuSeconds": 1, "wallSeconds": 2}}
    after = {"epoch": 1, "usage": {"gpuSeconds": 3, "wallSeconds": 2}, "conditions": []}

    patch = merge_patch(before, after)

    assert patch == {"node": None, "usage": {"gpuSeconds": 3}, "conditions": []}
