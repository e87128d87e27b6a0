"""What a hub hands out is read before anything is given up for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.errors import HansaError, Retryable, Terminal
from hansa.member.hub_link.tokens import MOST_CHARACTERS, facts_of, objection, renewed
from tests.unit.member.hub_link.paper import NOW_S, PATH, PaperHub, compact, handed, token

NO_TOKENS = {
    "a word": "hello",
    "nothing": "",
    "two parts": "a.b",
    "a certificate": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    "a header of another request": token() + "\r\nX-Remote-User: admin",
    "too long": "a." + "b" * MOST_CHARACTERS + ".c",
    "no JSON": "aaaa.bbbb.cccc",
    "JSON that is no object": compact({}, [1]),
    "no claims": compact({}, {}),
    "a token of no account": compact({}, {"sub": "x", "iss": "y", "aud": [], "iat": 1, "exp": 2}),
    "a time that is text": token(exp="tomorrow"),
    "a time that is no number": token(exp=True),
    "a subject that is none": token(sub=["a"]),
    "an audience that is none": token(aud=[7]),
    "an account without uid": token(**{"kubernetes.io": {"serviceaccount": {}}}),
}


@pytest.mark.parametrize("text", NO_TOKENS.values(), ids=NO_TOKENS)
def test_what_is_no_token_is_said_so(text):
    with pytest.raises(Terminal, match="it is no token"):
        facts_of(text)


@given(st.text() | st.binary().map(lambda raw: f"a.{raw.hex()}.c"))
def test_no_text_is_more_than_an_error(text):
    with pytest.raises(HansaError):
        facts_of(text)


OBJECTIONS = {
    "a newer one": (token(begin_s=NOW_S, seconds=7200), ""),
    "one audience as text": (token(aud="https://hub.example"), ""),
    "more audiences": (token(aud=["https://hub.example", "https://b"]), ""),
    "another node's": (
        token("riga"),
        "it is of 'system:serviceaccount:hansa-node-riga:hansa-agent'",
    ),
    "a component's": (token(sub="system:kube-controller-manager"), "it is of"),
    "ended": (token(begin_s=NOW_S - 7200), "it has ended"),
    "ends in a moment": (token(begin_s=NOW_S - 3550), "ends within a minute"),
    "for nobody": (token(aud=[]), "no audience"),
    "for somebody else": (token(aud=["https://elsewhere"]), "another audience"),
    "of another issuer": (token(iss="https://elsewhere"), "another issuer"),
    "of an account made anew": (
        token(**{"kubernetes.io": {"serviceaccount": {"uid": "u-2"}}}),
        "account made anew",
    ),
}


@pytest.mark.parametrize("case", OBJECTIONS)
def test_what_may_take_the_place_of_a_token(case):
    text, wrong = OBJECTIONS[case]

    said = objection(facts_of(text), facts_of(token()), node="tartu", now_s=NOW_S)

    assert wrong in said
    assert bool(said) == bool(wrong)


async def exchanged(hub):
    return await renewed(hub, hub.as_node, node="tartu", held=token(), seconds=7200, now_s=NOW_S)


async def test_a_token_is_asked_for_read_and_shown_to_the_hub():
    after = token(seconds=7200)
    hub = PaperHub(handed(after))

    assert await exchanged(hub) == after

    ((path, body),) = hub.asked
    assert path == PATH
    assert body["spec"] == {"expirationSeconds": 7200}
    assert hub.shown == [after]


ANSWERS = {
    "a word": (handed("hello"), Terminal, "no token"),
    "another node's": (handed(token("riga")), Terminal, "it is of"),
    "nothing": ({}, Retryable, "without a token"),
    "a number": (handed(7), Retryable, "without a token"),
    "no status": ({"status": "yes"}, Retryable, "without a token"),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_what_is_no_token_of_ours_is_not_even_shown(case):
    answer, error, words = ANSWERS[case]
    hub = PaperHub(answer)

    with pytest.raises(error, match=words):
        await exchanged(hub)

    assert hub.shown == []


async def test_a_forged_token_is_found_out_by_showing_it():
    forged = token(seconds=7200)
    hub = PaperHub(handed(forged), users={forged: "system:anonymous"})

    with pytest.raises(Terminal, match="the hub knows its holder as 'system:anonymous'"):
        await exchanged(hub)
