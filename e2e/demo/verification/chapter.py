"""Two jobs are drawn and audited while the story goes on: ``begin`` before its jobs, ``conclude`` among them.

Meanwhile an audit epoch lasts seconds; before the story's own jobs end it lasts an hour again, so that these are not
drawn while anybody watches: each audit is a run more, and the demo has two cores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from e2e.demo import jobs
from e2e.demo.books import Books, BooksError
from e2e.demo.jobs import Applied, Manifest
from e2e.demo.verification.cheat import Replace, cheating
from e2e.demo.verification.findings import (
    Audited,
    Change,
    Seen,
    assurance,
    audited,
    faults,
    in_words,
)
from e2e.testbed.cluster.cluster import Cluster
from e2e.testbed.host.clock import wait_until
from e2e.testbed.host.progress import Progress

HONEST, FAKED = "6-audited.yaml", "7-made-up.yaml"
CHEAT = "lisbon"
EPOCH_S = 6
QUICK = {
    "audits": {"intervalSeconds": 1, "epochSeconds": EPOCH_S, "revealSeconds": EPOCH_S},
    "intake": {"intervalSeconds": 1},
}
"""Settings of the ledger while the two jobs are drawn."""
UNHURRIED = {"audits": {"intervalSeconds": 2}}
"""And afterwards: an epoch of an hour, as by default, and a ledger that goes on with its audits soon."""
DECIDED = frozenset({"Passed", "Failed", "Lost", "Inconclusive", "Doubtful"})
DRAWN = DECIDED | {"Due", "NotDrawn"}
LABEL = (
    f"the testbed's switch, which the product does not have: it makes {CHEAT} cheat. On its machines another program"
    " lies in the place of the job's, which computes nothing and answers with numbers that it made up"
)
SetLedger = Callable[[Mapping[str, Mapping[str, float]]], None]


class VerificationError(AssertionError):
    """An audit did not come about, or not as it should."""


@dataclass
class Chapter:
    """The chapter, and what it knows between its two parts."""

    hub: Cluster
    books: Books
    image: str
    progress: Progress
    replace: Replace
    """On the machines of the member that cheats."""
    set_ledger: SetLedger
    jobs: list[Applied] = field(default_factory=list)
    found: tuple[Audited, ...] = ()
    _level: str = ""
    _before: dict[str, Fraction] = field(default_factory=dict)
    """What the cheat had in the books when it was not found yet, by kind of account."""

    def begin(self) -> None:
        """Run both jobs until they are drawn, and the cheat has something to lose."""
        title = f"jobs 6 and 7: {CHEAT} cheats in one of them; both are drawn for an audit"
        with self.progress.step(title):
            self.progress.note(LABEL)
            with cheating(self.replace):
                self.jobs = [jobs.apply(self.hub, file, self.image) for file in (HONEST, FAKED)]
                self.set_ledger(QUICK)
                for job in self.jobs:
                    self._ends_well(job)
            self.progress.note(f"the testbed has put the right program back at {CHEAT}")
            for job in self.jobs:
                self._told(job, DRAWN, what="its audit epoch to be decided")
            self._level = self._reaches("L1")
            wait_until(self._holds_back, what=f"something to be held back from {CHEAT}", poll_s=1)
        with self.progress.step("an audit epoch is an hour again; the two audits go on"):
            self.set_ledger(UNHURRIED)

    def conclude(self) -> None:
        """Wait for both verdicts; raise ``VerificationError`` where anything is not as it should be."""
        with self.progress.step("jobs 6 and 7: run again elsewhere, and compared"):
            for job in self.jobs:
                self._told(job, DECIDED, what="the verdict of its audit")
            seen = self._see(self._reaches("L0"))
            if wrong := list(faults(seen)):
                raise VerificationError("; ".join(wrong))
        self.found = audited(seen)
        self.progress.note(in_words(seen))
        self.progress.note(f"(Remember {LABEL}.)")
        institution = self._institution()
        self.progress.note(f"$ hansa balance {institution}\n{self.books.balance(institution)}")

    def _ends_well(self, job: Applied) -> None:
        told = jobs.wait_for(self.hub, job, jobs.finished, what="its end")
        at = told["status"].get("node")
        is_right = jobs.holds(told, "Succeeded") and (at == CHEAT) == (job.file == FAKED)
        if not is_right or not told["status"].get("result"):
            raise VerificationError(f"{job.name} at {at}: {told['status']}")

    def _told(self, job: Applied, words: frozenset[str], *, what: str) -> Manifest:
        told = jobs.wait_for(
            self.hub, job, lambda now: assurance(now).get("audit") in words, what=what
        )
        if (said := assurance(told))["audit"] in {"NotDrawn", "Inconclusive", "Doubtful"}:
            raise VerificationError(f"{job.name} is not audited: {said}")
        return told

    def _see(self, level: str) -> Seen:
        honest, faked = (jobs.read(self.hub, job) for job in self.jobs)
        every = self.hub.get("aijobs", "-n", self.jobs[0].namespace)["items"]
        audits = [one for one in every if "audit" in one["spec"] and jobs.holds(one, "Succeeded")]
        now = self.books.accounts(self._institution())
        return Seen(
            honest,
            faked,
            audits,
            level=Change(self._level, level),
            held=Change(self._before.get("holdback", 0), now.get("holdback", 0)),
            kitty=Change(self._before.get("kitty", 0), now.get("kitty", 0)),
        )

    def _reaches(self, level: str) -> str:
        """Wait until the league says that the cheat has shown this level; return what it says."""
        said = [""]

        def says() -> bool:
            said[0] = str(assurance(self._node()).get("level"))
            return said[0] == level

        wait_until(says, what=f"{CHEAT} to be at {level}", poll_s=0.5)
        return said[0]

    def _holds_back(self) -> bool:
        try:
            self._before = self.books.accounts(self._institution())
        except BooksError:  # none of its receipts is in the books yet
            return False
        return self._before.get("holdback", 0) > 0

    def _institution(self) -> str:
        return str(self._node()["spec"]["institution"])

    def _node(self) -> Manifest:
        return self.hub.get("sovereignnode", CHEAT)
