"""A log that is read in pieces comes out whole: no line twice, none missing, whatever the pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.api.job.log_window import WINDOW_BYTES
from hansa.model.times import from_rfc3339
from hansa.reconcile.member.logs.log_scan import KEPT_BEHIND_BYTES, LEFT_OUT, ROTATED, LogScan

MARK = "hansa-result:"
BEGIN_S = 1_800_000_000
Line = tuple[int, str]
"""Time in nanoseconds, and text."""
LINES = st.lists(
    st.tuples(st.integers(0, 3 * 10**9), st.text("aõ\r é", max_size=9)), max_size=12
).map(sorted)


def stamp(nanos: int) -> str:
    """A kubelet's time, in its machine's own zone."""
    hours, rest = divmod((BEGIN_S + nanos // 10**9) % 86_400 + 7200, 3600)
    return f"2027-01-15T{hours:02}:{rest // 60:02}:{rest % 60:02}.{nanos % 10**9:09}+02:00"


def kubelet(lines: list[Line], query) -> tuple[str, bool]:
    """What the API server answers: whole seconds on, whole lines or not, within a limit."""
    since_s = from_rfc3339(query.get("sinceTime")) or 0
    told = "".join(f"{stamp(at)} {text}\n" for at, text in lines if BEGIN_S + at / 1e9 >= since_s)
    data = told.encode()[: int(query["limitBytes"])]
    return data.decode(errors="ignore"), len(data) < len(told.encode())


def read(scan: LogScan, lines: list[Line], most_bytes: int = 10_000) -> LogScan:
    text, is_cut = kubelet(lines, scan.query(most_bytes))
    return scan.take(text, MARK, is_cut=is_cut)


@given(LINES, st.data())
def test_a_log_that_grows_is_read_once(lines, data):
    scan = LogScan()
    for length in sorted(data.draw(st.lists(st.integers(0, len(lines))))):
        scan = read(scan, lines[:length])
    scan = read(scan, lines)

    assert scan.kept.decode() == "".join(f"{text}\n" for _, text in lines)


UNORDERED = st.lists(st.tuples(st.integers(0, 4), st.sampled_from("ab")), min_size=1, max_size=9)


@given(UNORDERED, st.data())
def test_lines_that_two_streams_wrote_out_of_order_are_all_read_once(lines, data):
    """A runtime takes the time of a line before it has its turn in the file: once for stdout, once for stderr."""
    scan = LogScan()
    for length in sorted(data.draw(st.lists(st.integers(0, len(lines))))):
        scan = read(scan, lines[:length])
    scan = read(scan, lines)

    assert scan.kept.decode() == "".join(f"{text}\n" for _, text in lines)


def look(scan: LogScan, lines: list[Line]) -> LogScan:
    """Read on as an agent does: where nothing new comes, by the last line's time."""
    after = read(scan, lines)
    tail = "".join(f"{stamp(at)} {text}\n" for at, text in lines[-1:])
    back = scan.looking_back(tail) if after is scan and scan.second else None
    return after if back is None else read(back, lines)


@given(st.lists(st.integers(-55, 20), min_size=1, max_size=12))
def test_a_clock_that_is_set_back_hides_no_line(steps):
    """By up to a minute from one look to the next, and as often as it likes."""
    at, lines, scan = 3600 * 10**9, list[Line](), LogScan()
    for number, step in enumerate(steps):
        at += step * 10**9 + 1
        lines.append((at, f"line {number}"))
        scan = look(scan, lines)

    assert scan.kept.decode() == "".join(f"{text}\n" for _, text in lines)


def test_a_clock_set_back_by_an_hour_is_read_on_from_there():
    hour = 3600 * 10**9
    lines = [(hour, "one"), (hour + 1, "two")]
    scan = look(LogScan(), lines)
    lines += [(5 * 10**9, "three"), (9 * 10**9, "four")]
    scan = look(scan, lines)
    assert scan.kept == b"one\ntwo\nthree\nfour\n"
    assert look(scan, lines).kept == scan.kept
    scan = look(scan, [*lines, (10 * 10**9, "five"), (hour, "six")])
    assert scan.kept == b"one\ntwo\nthree\nfour\nfive\nsix\n"


def test_a_clock_set_back_and_a_new_file_are_named():
    hour = 3600 * 10**9
    scan = look(LogScan(), [(hour, "one")])
    assert look(scan, [(5, "two"), (6, "three")]).kept.decode() == f"one\n{ROTATED}two\nthree\n"


def test_lines_of_two_streams_out_of_order_are_no_clock_set_back():
    lines = [(10**9, "one"), (10**9 - 5, "two")]
    scan = look(LogScan(), lines)
    assert scan.kept == b"one\ntwo\n"
    assert look(scan, lines).kept == scan.kept


@given(st.lists(st.text("aõ", max_size=9), max_size=20), st.integers(100, 200))
def test_a_log_that_is_larger_than_an_answer_is_read_on(texts, most_bytes):
    lines = [(number * 10**9, text) for number, text in enumerate(texts)]
    scan = LogScan()
    for _ in range(2 * len(lines) + 1):
        scan = read(scan, lines, most_bytes)

    assert scan.kept.decode() == "".join(f"{text}\n" for text in texts)


def test_more_in_a_second_than_an_answer_holds_is_named_and_does_not_stop_it():
    lines = [(number, "x" * 20) for number in range(9)] + [(2 * 10**9, "later")]
    scan = LogScan()
    for _ in range(4):
        scan = read(scan, lines, 150)

    assert scan.kept.decode() == f"{'x' * 20}\n" * 2 + LEFT_OUT + "later\n"


def test_an_unfinished_line_waits_until_it_is_one_or_nothing_can_follow():
    text = f"{stamp(0)} one\n{stamp(1)} tw"

    scan = LogScan().take(text, MARK, is_cut=False)

    assert scan.kept == b"one\n"
    assert scan.take(text, MARK, is_cut=False, is_over=True).kept == b"one\ntw\n"


def test_the_marked_result_is_no_line_of_the_log():
    lines = [(0, "one"), (1, f"{MARK}NDI="), (2, f"progress\r{MARK}NDI="), (3, "two")]

    assert read(LogScan(), lines).kept == b"one\ntwo\n"


@pytest.mark.parametrize("separator", "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", ids=ascii)
def test_no_line_hides_behind_a_mark_within_it(separator):
    lines = [(0, f"a{separator}{MARK}NDI=")]

    assert read(LogScan(), lines).kept.decode() == f"{lines[0][1]}\n"


def test_a_line_without_a_time_is_shown_as_it_is():
    scan = LogScan().take("no time\n\n2027 neither\n", MARK, is_cut=False)

    assert scan.kept == b"no time\n\n2027 neither\n"


@given(st.text("aõ€", min_size=1, max_size=40_000), st.integers(0, 200_000))
def test_pieces_are_whole_characters_and_join(text, begin):
    scan = LogScan(kept=text.encode())
    shown, at = "", 0
    while at < scan.end:
        piece = scan.window(at)
        assert piece.start == at
        assert 0 < len(piece.text.encode()) <= WINDOW_BYTES
        shown, at = shown + piece.text, at + len(piece.text.encode())
    assert shown == text

    piece = scan.window(begin)
    assert min(begin, scan.end) - 2 <= piece.start <= min(begin, scan.end)
    assert text.encode()[piece.start :].decode().startswith(piece.text)


@given(st.text("aõ€", min_size=1, max_size=30), st.integers(0, 40))
def test_what_is_kept_begins_with_a_whole_character(text, behind):
    """A reader goes on at the very byte that is kept first, and waits for it."""
    scan = LogScan(kept=text.encode()).without(len(text.encode()), behind)

    piece = scan.window(scan.start)

    assert (piece.start, piece.text.encode()) == (scan.start, scan.kept)
    assert len(scan.kept) <= behind


@given(st.text("aõ€", min_size=1, max_size=30))
def test_the_last_piece_is_shown_to_its_last_character(text):
    scan = LogScan(kept=(text * WINDOW_BYTES).encode())

    ended = scan.last(0)

    assert ended.start + len(ended.text.encode()) == scan.end


def test_lines_that_a_machine_has_rotated_away_are_named():
    """A kubelet shows the newest file only: what was taken of this second is not in it."""
    scan = read(LogScan(), [(0, "one"), (1, "two")])
    after = read(scan, [(5, "later")])

    assert after.kept.decode() == f"one\ntwo\n{ROTATED}later\n"
    assert read(after, [(5, "later"), (6, "last")]).kept.decode().endswith("later\nlast\n")


def test_a_file_that_is_new_and_empty_says_nothing_yet():
    scan = read(LogScan(), [(0, "one")])

    assert read(scan, []) == scan


def test_the_last_piece_ends_the_log():
    scan = LogScan(start=100, kept=b"x" * 20_000)

    assert scan.last(19_000).start == 19_000
    tail = scan.last(0)
    assert (tail.start + len(tail.text), tail.state) == (20_100, "Ended")


def test_what_is_kept_is_bounded_and_keeps_its_place():
    scan = LogScan(kept=bytes(200_000)).without(150_000)

    assert scan.end == 200_000
    assert scan.start == 150_000 - KEPT_BEHIND_BYTES
    assert scan.without(0) == scan
