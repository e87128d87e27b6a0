"""The transcript says what stood in a job's status, each sentence once and in order."""

from __future__ import annotations

from e2e.troubles.cases import Trouble
from e2e.troubles.stage import Line, Stage, Told, sentences
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


class Looking(Stage):
    """A stage whose job says, look by look, what it is told."""

    def __init__(self, *looks: str):
        self._stands: dict[str, list[str]] = {}
        self._looks = iter(looks)

    def job(self, name):
        row = {"type": "Running", "status": "True", "reason": "A", "message": next(self._looks)}
        return {"metadata": {"name": name}, "status": {"conditions": [row]}}


def test_a_sentence_that_comes_again_is_told_again_and_one_that_stands_is_not():
    stage = Looking("up", "up", "down", "up", "up", "over")

    def says(word):
        return lambda job: job["status"]["conditions"][0]["message"] == word

    first = stage.read_until("one", says("down"), "down")
    second = stage.read_until("one", says("over"), "over")

    told = [line.text.rpartition(" ")[2] for line in (*first.lines, *second.lines)]
    assert told == ["up", "down", "up", "over"]


def test_a_page():
    told = Told([Line(0.4, "Placed False (a): b"), Line(75.6, "Failed True (c): d")])
    trouble = Trouble("A title", "What was done.", "What is right.", lambda _: told)

    written = page([(trouble, told)])

    assert written.endswith(
        "## A title\n\nWhat was done. What is right.\n\n```text\n"
        "    0 s  Placed False (a): b\n   76 s  Failed True (c): d\n```\n"
    )
