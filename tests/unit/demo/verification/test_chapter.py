"""The chapter's course over a scripted hub: it goes through once, and stops where an audit does not come about."""

from __future__ import annotations

import io
import json
from fractions import Fraction

import pytest
import yaml
from rich.console import Console

from e2e.demo.verification.chapter import QUICK, UNHURRIED, Chapter, VerificationError
from e2e.testbed.host.progress import Progress
from tests.unit.demo.verification.kit import MADE_UP, RIGHT, audit, job

ENDED = [{"type": "Succeeded", "status": "True"}]
DUE = {"audited": "Due", "made-up": "Due"}
DECIDED = {"audited": "Passed", "made-up": "Failed"}


class Hub:
    """A hub that says at once what the ledger would say in time, by the state it is in."""

    def __init__(self, said=DUE, nodes=("riga", "lisbon")):
        self.said, self.nodes = dict(said), dict(zip(DUE, nodes, strict=True))
        self.level, self.audits = "L1", []

    def kubectl(self, *args, stdin=None):
        if args[0] == "apply":
            meta = yaml.safe_load(stdin)["metadata"]
            return json.dumps({"metadata": {**meta, "uid": f"uid-of-{meta['name']}"}})
        return json.dumps(self._job(args[2]))

    def get(self, kind, *_):
        if kind == "aijobs":
            return {"items": [*map(self._job, DUE), *self.audits]}
        return {
            "spec": {"institution": "lisbon-telecom"},
            "status": {"assurance": {"level": self.level}},
        }

    def decide(self, said=DECIDED):
        self.said, self.level = dict(said), "L0"
        again = (("audited", "tartu"), ("made-up", "riga"), ("made-up", "tartu"))
        self.audits = [audit(n, of, node, RIGHT) for n, (of, node) in enumerate(again)]
        for one in self.audits:
            one["metadata"]["uid"] = f"uid-of-{one['metadata']['name']}"
            one["status"]["conditions"] = ENDED

    def _job(self, name):
        result = MADE_UP if name == "made-up" else RIGHT
        found = job(name, self.nodes[name], result, audit=self.said[name], message="why")
        found["status"]["conditions"] = ENDED
        return found


class Books:
    """A ledger's books: what is held back, and what was seized."""

    def __init__(self):
        self.kept = {"holdback": Fraction("0.00007")}

    def accounts(self, institution):
        assert institution == "lisbon-telecom"
        return self.kept

    def balance(self, institution):
        return f"accounts of {institution}"

    def seize(self):
        self.kept = {"kitty": Fraction("0.00007")}


def chapter(hub, books):
    said, asked = io.StringIO(), []
    progress = Progress(Console(file=said, soft_wrap=True))
    made = Chapter(
        hub=hub,
        books=books,
        image="x",
        progress=progress,
        replace=lambda *_: 1,
        set_ledger=asked.append,
    )
    return made, said, asked


def test_it_goes_through_and_says_who_made_the_member_cheat():
    hub, books = Hub(), Books()
    told, said, asked = chapter(hub, books)
    told.begin()
    hub.decide()
    books.seize()
    told.conclude()
    assert asked == [QUICK, UNHURRIED]
    assert [one.verdict for one in told.found] == ["Passed", "Failed"]
    assert said.getvalue().count("the testbed's switch, which the product does not have") == 2


@pytest.mark.parametrize("word", ["NotDrawn", "Inconclusive", "Doubtful"])
def test_it_stops_where_a_job_is_not_audited(word):
    told, _, asked = chapter(Hub({**DUE, "audited": word}), Books())
    with pytest.raises(VerificationError, match="audited is not audited"):
        told.begin()
    assert asked == [QUICK]


@pytest.mark.parametrize("nodes", [("lisbon", "lisbon"), ("riga", "riga")])
def test_it_stops_where_a_job_runs_elsewhere(nodes):
    told, *_ = chapter(Hub(nodes=nodes), Books())
    with pytest.raises(VerificationError, match=f"at {nodes[0]}"):
        told.begin()


def test_it_stops_where_the_cheat_is_not_found():
    hub, books = Hub(), Books()
    told, *_ = chapter(hub, books)
    told.begin()
    hub.decide({**DECIDED, "made-up": "Passed"})
    books.seize()
    with pytest.raises(VerificationError, match="its audit is to be Failed"):
        told.conclude()


def test_it_stops_where_nothing_is_seized():
    hub, books = Hub(), Books()
    told, *_ = chapter(hub, books)
    told.begin()
    hub.decide()
    with pytest.raises(VerificationError, match=r"the kitty has 0\.000000 more"):
        told.conclude()
