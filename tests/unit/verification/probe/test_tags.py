"""A probe that is answered in one go: what is committed first is held against rows that are drawn afterwards."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from math import comb
from pathlib import Path

import numpy as np
import pytest

from hansa.api.aijob import AIJobSpec
from hansa.api.job.status import RESULT_BYTES
from hansa.ledger.audits.probes.order import order
from hansa.ledger.settings import Probes
from hansa.verification.probe.prover import MOST_TAGS, commit, exact, matrix, rows_per_tag, tags
from hansa.verification.probe.tags import judge_tags, read_tags
from hansa.verification.probe.verifier import Challenge, Refusal
from tests.probe_kit import run_probe

N = 256
ASKED = Challenge(b"seed" * 8, b"nonce" * 8, N, 128)
PRODUCT = exact(*ASKED.matrices).astype("<i4")
HONEST = tags(PRODUCT)


def refusal(said, asked=ASKED, *, took_ms=1, limit_ms=1):
    return judge_tags(asked, said, took_ms=took_ms, limit_ms=limit_ms).refusal


@pytest.mark.parametrize("n", [64, 256, 2_048, 2_051, 4_100], ids=str)
def test_honest(n):
    asked = replace(ASKED, n=n, rows=64)
    said = read_tags(json.dumps(commit(asked.seed, n)))
    assert said.backend == "numpy"
    found = judge_tags(asked, said.tags, took_ms=1, limit_ms=1)
    assert found.refusal is None
    assert len(said.tags) == -(-n // rows_per_tag(n)) <= MOST_TAGS


def test_the_answer_of_the_largest_probe_fits_a_result():
    longest = {"backend": "torch", "tags": base64.b64encode(bytes(MOST_TAGS)).decode()}
    assert len(json.dumps(longest)) <= RESULT_BYTES


def test_the_program_runs_as_a_job_does(tmp_path: Path):
    settings = Probes(namespace="probes", pool="league", image="i@sha256:" + "a" * 64)
    job = order(ASKED, "tartu", "probe-1", settings)
    AIJobSpec.model_validate(job["spec"])
    assert refusal(read_tags(run_probe(job["spec"], tmp_path)).tags) is None


def test_nothing_computed():
    assert refusal(bytes(N)) is Refusal.WRONG_PRODUCT
    assert refusal(tags(np.zeros((N, N), "<i4"))) is Refusal.WRONG_PRODUCT


@pytest.mark.parametrize("by", [1, -1])
def test_one_entry_wrong_by_one_is_found_where_its_row_is_drawn(by):
    forged = PRODUCT.copy()
    forged[5, 17] += by
    said = tags(forged)
    assert said != HONEST
    for index in range(40):
        asked = replace(ASKED, nonce=b"%16d" % index)
        is_drawn = 5 in asked.drawn(said, N)
        assert (refusal(said, asked) is Refusal.WRONG_PRODUCT) is is_drawn


def test_an_answer_to_another_probe():
    assert refusal(tags(exact(*replace(ASKED, seed=b"other" * 8).matrices))) is (
        Refusal.WRONG_PRODUCT
    )


def test_changing_an_answer_until_it_fits_needs_the_nonce():
    """With the nonce a cheat would find an answer whose draw misses what it did not compute; it does not have it."""
    skipped = range(0, N, 20)
    known = ASKED.nonce
    for guess in range(200_000):
        forged = bytearray(HONEST)
        for at, row in enumerate(skipped):
            forged[row] ^= 1 + (guess >> (7 * at)) % 128
        if not set(skipped) & set(ASKED.drawn(bytes(forged), N)):
            break
    else:
        raise AssertionError("no answer was found that fits")
    assert refusal(bytes(forged), replace(ASKED, nonce=known)) is None
    others = [refusal(bytes(forged), replace(ASKED, nonce=b"%16d" % i)) for i in range(40)]
    assert others.count(Refusal.WRONG_PRODUCT) >= 38


def test_five_percent_skipped_escapes_less_than_two_in_a_thousand():
    """At the league's size: what is skipped is drawn, or its tag is guessed. In whole tags it escapes most easily."""
    wrong, drawn = -(-MOST_TAGS * 5 // 100), 128
    ways = (comb(wrong, hit) * comb(MOST_TAGS - wrong, drawn - hit) / 256**hit for hit in range(20))
    escape = sum(ways) / comb(MOST_TAGS, drawn)
    assert 0.001 < escape < 0.002
    skipped = set(range(0, MOST_TAGS, 20))
    asked = Challenge(b"s" * 16, b"n" * 16, 4_096, drawn)
    missed = sum(skipped.isdisjoint(asked.drawn(b"%32d" % i, MOST_TAGS)) for i in range(1_500))
    assert missed <= 9


def test_the_product_of_some_rows_is_exact():
    a, b = (matrix(b"x" * 16, label, 1_100) for label in (b"A", b"B"))
    some = [3, 1_099, 4]
    assert np.array_equal(exact(a[some], b), a[some].astype(np.int64) @ b.astype(np.int64))


MALFORMED = {"a tag too few": HONEST[1:], "a tag too many": HONEST + b"x", "none": b""}


@pytest.mark.parametrize("said", MALFORMED.values(), ids=MALFORMED)
def test_malformed(said):
    assert refusal(said) is Refusal.MALFORMED


def test_too_slow_by_the_verifiers_clock():
    assert refusal(HONEST, took_ms=2) is Refusal.TOO_SLOW
    assert refusal(bytes(N), took_ms=2) is Refusal.WRONG_PRODUCT


UNREADABLE = {
    "no JSON": ("0.97.", "Extra data|Expecting"),
    "a number": ("0.97", "tags"),
    "no tags": ('{"backend": "numpy"}', "tags"),
    "tags that are no text": ('{"backend": "numpy", "tags": [1]}', "tags"),
    "tags that are no base64": ('{"backend": "numpy", "tags": "?"}', "tags: "),
    "letters of elsewhere": ('{"backend": "numpy", "tags": "ä"}', "tags: .*ASCII"),
    "an unknown backend": ('{"backend": "abacus", "tags": ""}', "backend"),
    "no backend": ('{"tags": ""}', "backend"),
    "a list for a backend": ('{"backend": ["numpy"], "tags": ""}', "backend"),
    "endless nesting": ("[" * 100_000, "nested"),
}


@pytest.mark.parametrize("case", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_named(case):
    text, message = case
    with pytest.raises(ValueError, match=message):
        read_tags(text)
