"""``hansa release-result``: an owner sees what waits, and what it signs is what the agent's judge accepts."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from hansa.cli.access import Access
from hansa.cli.main import cli
from hansa.errors import Terminal
from hansa.grants.exports import held_secret
from hansa.grants.exports.held_result import decide
from tests.unit.grants.exports.held_results import RESULT, held, law
from tests.unit.grants.grant_kit import NOW_S, OWNER
from tests.unit.member.small_cluster import SmallCluster

SECRET = held_secret.path("hansa-system")
RUN = held().run


@pytest.fixture
def member(monkeypatch):
    cluster = SmallCluster(NOW_S)
    cluster.put(
        SECRET, {"metadata": {"name": held_secret.NAME}, **held_secret.entry(held(), RESULT)}
    )

    def ask(_, question):
        coroutine = question(cluster)
        try:
            coroutine.send(None)
        except StopIteration as answer:
            return answer.value
        raise AssertionError("the small cluster answers at once")

    monkeypatch.setattr(Access, "ask", ask)
    return cluster


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "owner.pem"
    path.write_bytes(OWNER.private_pem())
    return str(path)


def call(*words, answer=""):
    return CliRunner().invoke(cli, ["release-result", *words], input=answer)


def kept(member):
    found = held_secret.read(member.objects[SECRET], RUN)
    assert found is not None
    return found


def test_what_waits_is_listed_and_shown(member):
    listed, shown = call(), call(RUN)

    assert RUN in listed.stdout
    assert "hospital/study" in listed.stdout
    for word in (RESULT, "for hospital", "data: cohort", held().digest):
        assert word in shown.stdout
    assert kept(member).signatures == {}


def test_what_an_owner_signs_is_released(member, key):
    done = call(RUN, "--key", key, answer="y\n")

    assert done.exit_code == 0, done.output
    assert decide(held(), kept(member).signatures, law(), now_s=NOW_S).state == "Released"
    assert not kept(member).is_refused


@pytest.mark.parametrize("words", [["--key"], ["--refuse"]])
def test_a_no_changes_nothing(member, key, words):
    done = call(RUN, *words, *([key] if words == ["--key"] else []), answer="n\n")

    assert done.exit_code == 1
    assert (kept(member).signatures, kept(member).is_refused) == ({}, False)


def test_refusing_needs_no_key(member):
    done = call(RUN, "--refuse", "--yes")

    assert done.exit_code == 0, done.output
    assert kept(member).is_refused


def test_a_spoilt_result_is_listed_and_cannot_be_signed(member, key):
    member.objects[SECRET]["data"][f"{RUN}.result"] = "bm8="

    assert "spoilt" in call().stdout
    done = call(RUN, "--key", key, "--yes")
    assert isinstance(done.exception, Terminal)
    assert f"no result of {RUN}" in str(done.exception)


WRONG = {
    "another run": (["aij-0-e1"], "no result of aij-0-e1 waits here"),
    "both": ([RUN, "--refuse", "--key"], "not both"),
}


@pytest.mark.usefixtures("member")
@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_done_is_said(key, case):
    words, said = WRONG[case]
    done = call(*words, *([key] if words[-1] == "--key" else []))

    assert isinstance(done.exception, Terminal)
    assert said in str(done.exception)


def test_a_member_at_which_nothing_ever_waited(member):
    del member.objects[SECRET]

    assert "none" in call().stdout
    assert isinstance(call(RUN).exception, Terminal)
