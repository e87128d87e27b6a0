"""Every escape with what stops it, as a page of the documentation and as counts.

``python -m tests.apiserver.lock.table --write docs/reference`` writes the page; a test compares it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.apiserver.lock.attempts import NO_FIELD, attempts, control
from tests.apiserver.lock.escapes import PODS, REQUESTS
from tests.apiserver.lock.escaping.by_rayjob import RAYJOBS

PAGE = "escapes.md"
HEAD = """# Ways out, and what stops each

<!-- Written by `make crds` from tests/apiserver/lock/escapes.py; a test compares it. -->

Two stop each of these, and neither knows of the other: the **judge**, where a hub puts it into a signed grant,
and the **second lock** (`ValidatingAdmissionPolicy` in the member's chart), where it comes to the member's API
server as it is, by whatever account. Every row of the second lock is tried on a real API server with an admin's
rights and Pod Security taken off (`tests/apiserver/lock/test_second_lock.py`); every row of the judge by the member's
own code (`tests/unit/grants/test_escapes.py`).

A grant has no podSpec: for most of these its job has *no such field*, and a grant with a field that is none is
refused whole. Requests that come with no object (a shell, a deletion) cannot be put into a grant at all. There
a test shows instead that the agent's renderer makes objects of nine kinds and never one of these.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One escape."""

    name: str
    judge: str
    lock: str


def rows() -> dict[str, list[Row]]:
    """Return all escapes by what they change."""
    tried = attempts()
    stopped = {
        n: "not expressible in a grant" if a is None else control(a) for n, a in tried.items()
    }
    rules = {
        "In a pod": {name: escape[2] for name, escape in PODS.items()},
        "In a RayJob": {name: escape[2] for name, escape in RAYJOBS.items()},
        "By a request": {name: request.rule for name, request in REQUESTS.items()},
    }
    return {
        title: [Row(name, stopped[name], rule) for name, rule in some.items()]
        for title, some in rules.items()
    }


def counts(by_title: Mapping[str, list[Row]]) -> dict[str, int]:
    """Return how many there are, and how many each refuses.

    ``refused_by_lock`` counts rows: each is a case of the test on a real API server.
    """
    found = [row for some in by_title.values() for row in some]
    by_judge = [row for row in found if not row.judge.startswith("not expressible")]
    fields = [row for row in by_judge if "objects: no such field" not in row.judge]
    return {
        "escapes": len(found),
        "refused_by_judge": len(by_judge),
        "refused_by_judge_as_a_field": len(fields),
        "refused_by_judge_by_a_rule": len([row for row in fields if NO_FIELD not in row.judge]),
        "refused_by_lock": len(found),
    }


def page() -> str:
    """Return the page."""
    by_title = rows()
    text = [
        HEAD,
        _summary(counts(by_title)),
    ]
    for title, some in by_title.items():
        text += [
            f"## {title}\n",
            "| way out | the judge | rule of the second lock |\n|---|---|---|",
        ]
        text += [f"| {row.name.strip()} | {_cell(row.judge)} | {_cell(row.lock)} |" for row in some]
        text.append("")
    return "\n".join(text)


def _summary(said: Mapping[str, int]) -> str:
    beside = said["refused_by_judge"] - said["refused_by_judge_as_a_field"]
    return (
        f"{said['escapes']} ways out. The second lock refuses all {said['refused_by_lock']}. The judge refuses"
        f" {said['refused_by_judge']} of them as a grant: {said['refused_by_judge_as_a_field']} each as a field of a job"
        f" ({said['refused_by_judge_by_a_rule']} by a rule, the others as there is no such field), and {beside} as an object"
        f" put beside it, which shows one thing {beside} times: a job has no `objects`.\n"
    )


def _cell(text: str) -> str:
    return text.replace("|", " or ")


def main() -> None:
    """Write the page, or print the counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.apiserver.lock.table")
    parser.add_argument("--write", type=Path, help="folder of the page")
    asked = parser.parse_args()
    if asked.write is not None:
        (asked.write / PAGE).write_text(page())
    print(json.dumps(counts(rows())))  # noqa: T201  # what it is called for


if __name__ == "__main__":
    main()
