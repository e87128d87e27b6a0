"""What of a run's own words may be told: in bytes, as declared, as the policy allows, with a reason."""

from __future__ import annotations

import pytest

from hansa.api.aijob import AIJobSpec
from hansa.api.job.status import LOG_TAIL_BYTES
from hansa.grants.exports.permits import Exportable, Permit
from hansa.reconcile.member import outgoing as module
from hansa.reconcile.member.end_reasons import EndReason, explain
from hansa.reconcile.member.outgoing import (
    ABSENT,
    LEFT_OUT,
    MESSAGE_BYTES,
    UNREAD,
    clusters_words,
    last_lines,
    outgoing,
    wanted,
    within,
)
from hansa.reconcile.member.workload import Finding, Output
from tests.unit.grants.grant_kit import job
from tests.unit.reconcile.member.leaving import may

WELL = explain(EndReason.SUCCEEDED)
STAYS = f"{WELL} Its result stays at the member: "


def spec(max_bytes: int | None = 8) -> AIJobSpec:
    declared = {} if max_bytes is None else {"result": {"maxBytes": max_bytes}}
    return AIJobSpec.model_validate(job(**declared))


RESULTS: dict[str, tuple[bytes | None, int | None, str, str | None, str]] = {
    "as declared": (b"12345678", 8, "Allow", "12345678", WELL),
    "none written": (None, 8, "Allow", None, WELL),
    "an empty one is one": (b"", 8, "Allow", "", WELL),
    "a byte too many": (b"123456789", 8, "Allow", None, f"{STAYS}{module.TOO_LARGE}."),
    "as many characters, twice the bytes": (
        "õäöüõäöü".encode(),
        8,
        "Allow",
        None,
        f"{STAYS}{module.TOO_LARGE}.",
    ),
    "the API's own limit": (b"x" * 4096, 4096, "Allow", "x" * 4096, WELL),
    "half a character": ("õ".encode()[:1], 8, "Allow", None, f"{STAYS}{module.NOT_TEXT}."),
    "undeclared": (b"1", None, "Allow", None, f"{STAYS}{module.UNDECLARED}."),
    "undeclared and none": (None, None, "Allow", None, WELL),
    "denied": (b"1", 8, "Deny", None, f"{STAYS}MemberPolicy spec.exports.result: Deny."),
    "denied, and nothing is told of whether there is one": (
        None,
        8,
        "Deny",
        None,
        f"{STAYS}MemberPolicy spec.exports.result: Deny.",
    ),
    "undeclared and denied": (b"1", None, "Deny", None, WELL),
}


@pytest.mark.parametrize("case", RESULTS)
def test_results(case):
    written, declared, verdict, travels, message = RESULTS[case]

    told = outgoing(
        Finding(EndReason.SUCCEEDED), "", Output("", written), spec(declared), may(verdict)
    )

    assert (told.result, told.message, told.held) == (travels, message, None)


def test_a_result_that_waits_does_not_travel():
    told = outgoing(Finding(EndReason.SUCCEEDED), "", Output("", b"42"), spec(), may("OnRelease"))

    assert (told.result, told.held) == (None, "42")
    large = outgoing(
        Finding(EndReason.SUCCEEDED), "", Output("", b"x" * 9), spec(), may("OnRelease")
    )
    assert (large.result, large.held) == (None, None)


def test_of_a_log_that_was_cut_nothing_is_believed():
    told = outgoing(
        Finding(EndReason.SUCCEEDED), "", Output(is_cut=True), spec(), may(logs="Allow")
    )

    assert (told.result, told.tail) == (None, LEFT_OUT)
    assert told.message == f"{STAYS}{module.TOO_LONG}."


def test_of_a_log_that_was_not_read_it_is_told_that_a_result_may_be_missing():
    found = Finding(EndReason.SUCCEEDED)

    def message(output: Output, max_bytes: int | None = 8) -> str:
        return outgoing(found, "", output, spec(max_bytes), may("Allow")).message

    assert message(Output(is_read=False)) == f"{STAYS}{module.NOT_READ}."
    assert message(Output(is_read=False), None) == WELL
    assert message(Output(is_there=False)) == WELL


def test_the_controllers_words_and_the_log_go_by_the_logs_rule():
    output = Output("line", None)

    open_ = outgoing(Finding(EndReason.APP_FAILED), "SECRET", output, spec(None), may(logs="Allow"))
    tail = outgoing(Finding(EndReason.APP_FAILED), "SECRET", output, spec(None), may(logs="Tail"))
    closed = outgoing(Finding(EndReason.APP_FAILED), "SECRET", output, spec(None), may(logs="Deny"))

    assert (open_.message, open_.tail) == ("SECRET", "line")
    assert tail == open_
    assert (closed.message, closed.tail) == (explain(EndReason.APP_FAILED), None)


WORDS = "in KubeRay's words"
LED: dict[EndReason, str] = {
    EndReason.SUCCEEDED: WORDS,
    EndReason.APP_FAILED: WORDS,
    EndReason.RAY_FAILED: WORDS,
    EndReason.OUT_OF_MEMORY: f"{explain(EndReason.OUT_OF_MEMORY)} {WORDS}",
    EndReason.HEAD_LOST: explain(EndReason.HEAD_LOST),
    EndReason.MACHINE_LOST: explain(EndReason.MACHINE_LOST),
}


@pytest.mark.parametrize("reason", LED)
def test_a_controllers_words_are_led_by_ours_where_they_do_not_say_why(reason):
    for said, told in (
        (WORDS, LED[reason]),
        (explain(reason), explain(reason)),
        ("", explain(reason)),
    ):
        message = outgoing(Finding(reason), said, Output(), spec(), may(logs="Allow")).message
        assert message == told


def test_a_message_fits_its_field_together_with_the_longest_reason():
    longest = f"spec.datasets[{'d' * 63}].exports.result: Deny"
    law = Exportable(Permit("Deny", longest), Permit("Allow", ""))

    told = outgoing(Finding(EndReason.APP_FAILED), "õ" * 4000, Output(), spec(), law)

    assert longest in told.message
    assert len(told.message) <= 1024
    assert told.message.startswith("õ" * (MESSAGE_BYTES // 2) + " Its")


READ = {
    "logs": (None, may("Deny", "Allow"), True),
    "their last lines": (None, may("Deny", "Tail"), True),
    "a declared result": (8, may("Allow"), True),
    "one that is to wait": (8, may("OnRelease"), True),
    "an undeclared one": (None, may("Allow"), False),
    "a denied one": (8, may("Deny"), False),
}


@pytest.mark.parametrize("case", READ)
def test_the_output_is_read_only_where_something_of_it_may_leave(case):
    declared, law, expected = READ[case]

    assert wanted(spec(declared), law) is expected


TAILS = {
    "fits": ("a\nb", 3, "a\nb"),
    "one byte too many": ("a\nbc", 3, "bc"),
    "whole lines only": ("aaaa\nbb\nc", 6, "bb\nc"),
    "in bytes": ("õõ\nõ", 5, "õ"),
    "the last line alone is too long": ("ok\n" + "x" * 9, 8, LEFT_OUT),
    "nothing": ("", 8, ""),
    "empty lines": ("a\n\n\nb", 3, "\n\nb"),
    "half of a pair": ("\ud800", 8, "?"),
}


@pytest.mark.parametrize("case", TAILS)
def test_the_last_lines_that_fit(case):
    text, most, expected = TAILS[case]

    assert last_lines(text, most) == expected


def test_a_tail_of_wide_characters_keeps_to_bytes():
    tail = "\n".join(["õ" * 100] * 200)

    assert LOG_TAIL_BYTES - 201 < len(last_lines(tail, LOG_TAIL_BYTES).encode()) <= LOG_TAIL_BYTES


def test_a_beginning_ends_with_a_whole_character():
    assert within("õõõ", 5) == "õõ"
    assert within("\ud800x", 5) == "?x"


# What there is to read; what is told where logs may leave: no text is another thing than no log.
TEXTS = {
    "no text": (Output(), ""),
    "some": (Output("a\nb"), "a\nb"),
    "not there": (Output(is_there=False), ABSENT),
    "not read": (Output(is_read=False), UNREAD),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_log_without_text_is_told_from_one_that_stays(case):
    output, tail = TEXTS[case]
    found = Finding(EndReason.SUCCEEDED)
    assert outgoing(found, "", output, spec(), may(logs="Allow")).tail == tail
    assert outgoing(found, "", output, spec(), may(logs="Deny")).tail is None


def test_of_an_images_digest_the_beginning_is_told_so_that_there_is_room_for_the_cause():
    image = f"registry.example/a@sha256:{'1' * 64}"
    said = f'Back-off pulling image "{image}": ' + f'failed to resolve "{image}": ' * 6 + "401"

    told = clusters_words(said)

    assert told.endswith(": 401")
    assert f"sha256:{'1' * 12}…" in told
    assert clusters_words("sha256:short, 1" * 2) == "sha256:short, 1" * 2


def test_the_clusters_words_stand_beside_the_reason_on_one_line_whatever_the_logs_rule():
    found = Finding(EndReason.NO_ROOM, "0/3 nodes:\n\x1b[31mInsufficient " + "x" * 900)
    for rule in ("Allow", "Deny"):
        told = outgoing(found, "SECRET", Output(), spec(), may(logs=rule)).message
        assert told.startswith(f"{explain(EndReason.NO_ROOM)} 0/3 nodes: [31mInsufficient xxx")
        assert len(told.encode()) <= MESSAGE_BYTES
