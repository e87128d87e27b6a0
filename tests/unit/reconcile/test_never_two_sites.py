"""Under every order of events no job is granted to two nodes at once."""

import dataclasses

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hansa.grants.envelope import grant_name
from hansa.model.plan import Placement
from hansa.model.times import rfc3339
from hansa.reconcile.hub.actions import (
    CancelGrant,
    CancelOrphan,
    DeleteGrant,
    DeleteOrphan,
    RequeueAfter,
    SetFinalizers,
    SetJobStatus,
    WriteGrant,
)
from hansa.reconcile.hub.derive import ACCEPTANCE_MAY_WAIT_S, derive, derive_orphan
from tests.unit.reconcile.hub.hub_objects import (
    ACCEPTED,
    NOW_S,
    REFUSED,
    UID,
    case,
    epoch,
    grant_manifest,
    job_manifest,
    job_view,
)

NODES = ("tartu", "narva", "tallinn")


@dataclasses.dataclass
class Run:
    """A member's side of one epoch."""

    node: str
    state: str = "new"
    """new, accepted, refused, ended (its word is given)."""


class NeverTwice(RuleBasedStateMachine):
    """One job, three members that may vanish, a hub that may act late: never two runs at once."""

    @initialize()
    def begin(self):
        self.now_s = NOW_S
        self.job = job_manifest()
        self.grants = {}
        self.runs = {}
        self.contact = dict.fromkeys(NODES, NOW_S)
        self.cut = set()
        self.version = 1

    def facts(self):
        return tuple(
            epoch(
                wire,
                released=self.runs[number].state == "ended",
                lease_s=self.contact[wire["spec"]["node"]],
                now_s=self.now_s,
            )
            for number, wire in sorted(self.grants.items())
        )

    @rule(node=st.sampled_from(NODES), rounds=st.integers(1, 3))
    def hub_works(self, node, rounds):
        for _ in range(rounds):
            self.hub_acts(node, place=True, crash=9)

    @rule(node=st.sampled_from(NODES), place=st.booleans(), crash=st.sampled_from([1, 2]))
    def hub_crashes(self, node, place, crash):
        """The hub does the first ``crash`` of its actions before it dies."""
        self.hub_acts(node, place=place, crash=crash)

    @rule()
    def owner_deletes(self):
        if self.job is not None and not self.job["metadata"].get("finalizers"):
            self.job = None
        elif self.job is not None:
            self.job["metadata"]["deletionTimestamp"] = rfc3339(self.now_s)

    def hub_acts(self, node, *, place, crash):
        if self.job is None:
            actions = [action for fact in self.facts() for action in derive_orphan(fact)]
        else:
            wire = self.job
            spec, meta = {"suspend": wire["spec"].get("suspend", False)}, wire["metadata"]
            view = job_view(wire["status"], version=self.version, meta=meta, **spec)
            decision = Placement(UID, node, 2, 0) if place and not view.suspended else None
            facts = self.facts()
            when = {"now_s": self.now_s, "tidying": crash > 1}
            actions = derive(case(view, *facts, decision=decision, **when))
        for action in actions[:crash]:
            self.do(action)

    def do(self, action):
        match action:
            case SetJobStatus():
                assert action.status != self.job["status"]
                self.version += 1
                self.job["status"] = dict(action.status)
            case RequeueAfter():
                assert 0 <= action.after_s <= ACCEPTANCE_MAY_WAIT_S
            case SetFinalizers():
                self.version += 1
                self.job["metadata"]["finalizers"] = list(action.finalizers)
                if "deletionTimestamp" in self.job["metadata"] and not action.finalizers:
                    self.job = None
            case WriteGrant() if action.epoch not in self.grants:
                wire = grant_manifest(action.node, action.epoch, cancel=action.cancel)
                wire["metadata"]["name"] = grant_name(UID, action.epoch)
                wire["metadata"]["creationTimestamp"] = rfc3339(self.now_s)
                wire["spec"]["notAfter"] = rfc3339(self.now_s + 600)
                self.grants[action.epoch] = wire
                self.runs.setdefault(action.epoch, Run(action.node))
            case CancelGrant() | CancelOrphan():
                self.grants[self.number(action.name)]["spec"]["cancel"] = "Stop"
            case DeleteGrant() | DeleteOrphan():
                del self.grants[self.number(action.name)]

    @staticmethod
    def number(name):
        return int(name.rsplit("-e", 1)[1])

    @rule(data=st.data())
    @precondition(lambda self: self.grants)
    def member_acts(self, data):
        self.member_acts_on(data.draw(st.sampled_from(sorted(self.grants))), data)

    def member_acts_on(self, number, data):
        wire, run = self.grants[number], self.runs[number]
        if run.node in self.cut:
            return
        stop = wire["spec"]["cancel"] == "Stop"
        late = rfc3339(self.now_s) > wire["spec"]["notAfter"]
        if run.state == "new":
            refuse = stop or late or data.draw(st.integers(0, 3)) == 3
            run.state = "refused" if refuse else "accepted"
            wire["status"] = REFUSED if refuse else ACCEPTED
        elif run.state == "accepted" and (stop or data.draw(st.integers(0, 3)) == 3):
            run.state = "ended"

    @rule(data=st.data())
    @precondition(lambda self: self.grants)
    def newest_member_acts(self, data):
        self.member_acts_on(max(self.grants), data)

    @rule(node=st.sampled_from(NODES))
    def link_breaks(self, node):
        self.cut.add(node)

    @precondition(lambda self: self.runs)
    @rule(seconds=st.sampled_from([100, 700, 3000, 3700]))
    def newest_member_is_cut_off(self, seconds):
        self.cut.add(self.runs[max(self.runs)].node)
        self.time_passes(seconds)

    @rule(node=st.sampled_from(NODES))
    def link_heals(self, node):
        self.cut.discard(node)
        self.contact[node] = self.now_s

    @rule(seconds=st.sampled_from([1, 100, 700, 3000, 3700]))
    def time_passes(self, seconds):
        self.now_s += seconds
        for node in NODES:
            if node not in self.cut:
                self.contact[node] = self.now_s
        for run in self.runs.values():
            silent_s = self.now_s - self.contact[run.node]
            if run.state in ("accepted", "new") and silent_s > 3600:
                # The member keeps its contract: it stops the run itself, and takes nothing stale.
                run.state = "stopped" if run.state == "accepted" else run.state

    @rule()
    @precondition(lambda self: self.job is not None)
    def owner_suspends_or_resumes(self):
        self.job["spec"]["suspend"] = not self.job["spec"].get("suspend", False)

    @invariant()
    def one_run_at_most(self):
        living = [run for run in getattr(self, "runs", {}).values() if run.state == "accepted"]
        assert len(living) <= 1, living


TestNeverTwice = NeverTwice.TestCase
TestNeverTwice.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_shortened_fence_would_grant_twice():
    """The directed sequence: accept, cut, an hour passes, the hub places elsewhere, all in time."""
    machine = NeverTwice()
    machine.begin()
    machine.hub_acts("tartu", place=True, crash=9)
    machine.runs[1].state, machine.grants[1]["status"] = "accepted", ACCEPTED
    machine.link_breaks("tartu")
    for seconds in (3000, 500, 99, 1, 1, 59):
        machine.time_passes(seconds)
        for _ in range(3):
            machine.hub_acts("narva", place=True, crash=9)
        assert set(machine.runs) == {1}, machine.now_s - NOW_S
    machine.time_passes(10)
    for _ in range(3):
        machine.hub_acts("narva", place=True, crash=9)
    assert (machine.runs[1].state, machine.runs[2].node) == ("stopped", "narva")
