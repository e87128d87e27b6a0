"""The transcript says what stood in a job's status, each sentence once and in order."""

from __future__ import annotations

from e2e.troubles.cases import Trouble
from e2e.troubles.stage import Line, Told, sentences
from e2e.troubles.transcript import page

JOB = {
    "status": {
        "conditions": [
            {"type": "Failed", "status": "True", "reason": "OutOfMemory", "message": "It was."},
            {"type": "Stalled", "status": "True", "reason": "OutOfMemory"},
        ],
        "refusals": [{"node": "riga", "reason": "ImageNotPulled", "message": "No."}],
        "retries": [{"cause": "HeadLost", "times": 2, "message": "Gone."}],
        "postMortem": {
            "pods": [{"role": "Head", "reason": "Error", "exitCode": 137}, {"role": "Worker", "reason": "Gone"}]
        },
    }
}  # fmt: skip


def test_what_a_status_says():
    assert list(sentences(JOB)) == [
        "Failed True (OutOfMemory): It was.",
        "refused by riga (ImageNotPulled): No.",
        "tried again, 2 times (HeadLost): Gone.",
        "a pod died, Head: Error, exit code 137",
        "a pod died, Worker: Gone",
    ]
    assert list(sentences({})) == []


def test_a_page():
    told = Told([Line(0.4, "Placed False (a): b"), Line(75.6, "Failed True (c): d")])
    trouble = Trouble("A title", "What was done.", "What is right.", lambda _: told)

    written = page([(trouble, told)])

    assert written.endswith(
        "## A title\n\nWhat was done. What is right.\n\n```text\n"
        "    0 s  Placed False (a): b\n   76 s  Failed True (c): d\n```\n"
    )
