"""The league's quorum as a file: k of n, nested; and what such a file must not say."""

from __future__ import annotations

from itertools import chain, combinations

import pytest

from hansa.errors import Terminal
from hansa.translog.policy import Policy
from tests.unit.translog.small_log import ed25519, log_signer, ml_dsa

NESTED = f"""
log {log_signer().key}

witness X1 {ed25519("x1").key}
witness X2\t{ed25519("x2").key}  https://x2.example/witness
  witness X3 {ml_dsa("x3").key}
group X-witnesses 2 X1 X2 X3

# the other institution
witness Y1 {ed25519("y1").key}
witness Y2 {ed25519("y2").key}
group Y-witnesses any Y1 Y2

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""
"""The specification's example, with keys."""


def test_the_example_of_the_specification():
    policy = Policy.parse(NESTED.encode())
    names = ["X1", "X2", "X3", "Y1", "Y2"]
    assert list(policy.witnesses) == names
    assert policy.urls == {"X2": "https://x2.example/witness"}
    every = chain.from_iterable(combinations(names, count) for count in range(6))
    for spoken in map(set, every):
        enough = len(spoken & {"X1", "X2", "X3"}) >= 2 and bool(spoken & {"Y1", "Y2"})
        assert (policy.quorum.missing(spoken) == ()) is enough, spoken


def test_what_is_missing_is_said():
    missing = Policy.parse(NESTED.encode()).quorum.missing({"X1", "Z"})
    assert "X-witnesses has 1 of 2; missing: X2, X3" in missing
    assert "Y-witnesses has 0 of 1; missing: Y1, Y2" in missing


SINGLE = {
    "a witness": ("X1", {"X1"}, True),
    "another": ("X1", {"X2"}, False),
    "nobody": ("none", set(), True),
}


@pytest.mark.parametrize("case", SINGLE)
def test_a_quorum_of_one_name(case):
    rule, spoken, enough = SINGLE[case]
    text = f"witness X1 {ed25519('x1').key}\nwitness X2 {ed25519('x2').key}\nquorum {rule}\n"
    assert (Policy.parse(text.encode()).quorum.missing(spoken) == ()) is enough


def test_names_are_octets():
    """A Kelvin sign is no K, and what is no UTF-8 is a name as well."""
    x1, x2 = ed25519("x1").key, ed25519("x2").key
    text = f"witness K {x1}\nwitness \u212a {x2}\ngroup g all K \u212a\nquorum g\n".encode()
    assert set(Policy.parse(text).witnesses) == {"K", "\u212a"}
    odd = Policy.parse(b"witness \xff %b\nquorum \xff\n" % str(x1).encode())
    assert odd.quorum.missing(odd.witnesses.keys()) == ()


W = f"witness X1 {ed25519('x1').key}\nwitness X2 {ed25519('x2').key}\n"
LOG = f"log {log_signer().key}\n"
BAD = {
    "nothing": ("", "not ended"),
    "no quorum": (W, "no quorum line"),
    "two quorums": (f"{W}quorum X1\nquorum X2\n", "line 4 of the policy: a policy has one quorum"),
    "not ended": (f"{W}quorum X1", "not ended"),
    "an unknown word": (f"{W}quorums X1\n", "'quorums' is none of log, witness, group, quorum"),
    "an unknown name": (f"{W}quorum X3\n", "X3 is no witness or group of a line before"),
    "used before": (f"group g any X1\n{W}quorum g\n", "line 1 of the policy: X1 is no witness"),
    "itself": (f"{W}group g any g\nquorum g\n", "g is no witness"),
    "a name twice": (f"{W}group X1 any X2\nquorum X1\n", "the name X1 is taken"),
    "none as a name": (f"{W}group none any X2\nquorum none\n", "the name none is taken"),
    "none in a group": (f"{W}group g any none\nquorum g\n", "none is no witness"),
    "a member twice": (f"{W}group g 2 X1 X1\nquorum g\n", "X1 is in a group already"),
    "in two groups": (f"{W}group g any X1\ngroup h any X1\nquorum g\n", "X1 is in a group already"),
    "more than there are": (f"{W}group g 3 X1 X2\nquorum g\n", "g asks for 3 of 2"),
    "none of two": (f"{W}group g 0 X1 X2\nquorum g\n", "'0' is no threshold"),
    "a sign": (f"{W}group g -1 X1 X2\nquorum g\n", "'-1' is no threshold"),
    "no member": (f"{W}group g any\nquorum g\n", "a group line has 4"),
    "a key twice": (
        f"{W}witness X3 {ed25519('x1').key}\nquorum X3\n",
        "X3 has the key of another witness",
    ),
    "a log twice": (f"{LOG}{LOG}quorum none\n", "is listed twice"),
    "a log's key": (f"witness w {log_signer().key}\nquorum w\n", "w has a key of a log"),
    "a witness's key": (f"log {ed25519('x1').key}\nquorum none\n", "x1 is a witness's key"),
    "a wrong key": ("witness w abc\nquorum w\n", "line 1 of the policy: 'abc' is no key"),
    "too many words": (f"{W}quorum X1 X2\n", "a quorum line has 2 to 2 words"),
    "a control character": (f"{W}quorum X1\r\n", "control characters"),
    "too long": ("#" * 600_000 + "\n", "524288 bytes"),
    "too much": ("".join(f"group g{n} any g{n - 1}\n" for n in range(2000)), "line 1 of"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_a_policy_must_not_say(case):
    text, complaint = BAD[case]
    with pytest.raises(Terminal, match=complaint) as refusal:
        Policy.parse(text.encode())
    assert refusal.value.reason == "Malformed"


def test_more_lines_than_are_read():
    many = "".join(f"witness w{n} {ed25519(f'w{n}').key}\n" for n in range(1025))
    with pytest.raises(Terminal, match="1024 things"):
        Policy.parse(f"{many}quorum none\n".encode())


def test_a_group_is_no_witness():
    """Who speaks as a group has not brought its members."""
    quorum = Policy.parse(NESTED.encode()).quorum
    assert quorum.missing({"X-and-Y", "X-witnesses", "Y1"})


def test_a_chain_of_groups_as_long_as_a_policy_may_be():
    lines = [f"group g{n} any {f'g{n - 1}' if n else 'X1'}" for n in range(1000)]
    policy = Policy.parse("\n".join([W.strip(), *lines, "quorum g999", ""]).encode())
    assert policy.quorum.missing({"X1"}) == ()
    assert len(policy.quorum.missing({"X2"})) == 1000
