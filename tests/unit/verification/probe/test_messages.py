"""A probe over two pipes, as a job would run it, and what a prover may send instead of an answer."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.verification.probe import messages, prover
from hansa.verification.probe.verifier import Challenge, judge

ASKED = Challenge(b"s" * 16, b"n" * 16, 96, 16)


def test_a_whole_probe_by_the_text_alone():
    """In a process that has no Hansa: the file's text is the program, as in a job's entrypoint."""
    text = Path(prover.__file__).read_text()
    with subprocess.Popen(
        [sys.executable, "-I", "-c", text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as job:
        job.stdin.write(messages.begin(ASKED) + "\n")
        said = messages.read_root(job.stdout.readline())
        job.stdin.write(messages.ask(ASKED, said.root) + "\n")
        opened = messages.read_opened(job.stdout.readline(), ASKED)
    assert said.backend == "numpy"
    assert judge(ASKED, said.root, opened, took_ms=1, limit_ms=1).refusal is None


def test_the_whole_answer_to_the_largest_rows_is_read():
    said = []
    lines = [messages.begin(ASKED), json.dumps({"rows": list(range(16))})]
    prover.serve(lines, said.append)
    assert len(messages.read_opened(said[1], ASKED).rows) == 16


ROOT = "ab" * 32
ROOTS = {
    "no JSON": ("{", "Expecting"),
    "no object": ("[]", "line: a JSON object"),
    "no root": ('{"backend": "numpy"}', "root: 64"),
    "a short root": ('{"root": "ab", "backend": "numpy"}', "root: 64"),
    "no hexadecimal": (json.dumps({"root": "x" * 64, "backend": "numpy"}), "hexadecimal"),
    "no backend": (json.dumps({"root": ROOT}), "backend: one of cupy, numpy, torch"),
    "a backend of its own": (json.dumps({"root": ROOT, "backend": ["numpy"]}), "backend"),
    "endless": ("{" * 10_000, "line: 10000 characters"),
}
OPENED = {
    "no rows": ('{"paths": []}', "rows: a list"),
    "numbers": ('{"rows": [1], "paths": []}', "rows: a list"),
    "no paths": ('{"rows": []}', "paths: a list"),
    "flat paths": ('{"rows": [], "paths": ["ab"]}', "paths: a list"),
    "no base64": ('{"rows": ["*"], "paths": []}', "base64"),
    "endless": (" " * 1_000_000, "line: 1000000 characters"),
    "deep": ("[" * 20_000, "nested too deeply"),
}


@pytest.mark.parametrize("case", ROOTS.values(), ids=ROOTS)
def test_what_is_no_root(case):
    line, why = case
    with pytest.raises(ValueError, match=why):
        messages.read_root(line)


@pytest.mark.parametrize("case", OPENED.values(), ids=OPENED)
def test_what_opens_no_rows(case):
    line, why = case
    with pytest.raises(ValueError, match=why):
        messages.read_opened(line, Challenge(b"s" * 16, b"n" * 16, 256, 16))


@given(
    st.text(max_size=50)
    | st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists).map(json.dumps)
)
def test_any_line_is_read_or_refused(line):
    for read in (messages.read_root, lambda text: messages.read_opened(text, ASKED)):
        with suppress(ValueError):
            read(line)
