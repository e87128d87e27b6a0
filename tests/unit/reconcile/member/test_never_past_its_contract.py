"""No order of events lets a run live when the hub may have placed its job elsewhere.

One run: an agent, a guard, a machine with its pods, a hub. Each may die, be cut off and come back at any
time, and the guard's wall clock may be set. The rules are the shipped ones; only the wires are of the
test. What the hub concludes from the same events is the shipped fence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hansa.api.aijob import Disconnection
from hansa.grants.epochs import EpochRecord, Outcome
from hansa.guard.contact import ContactWatch
from hansa.member.hub_link.contact import Contact
from hansa.model.times import rfc3339
from hansa.reconcile.fencing import EpochFacts, fence
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.contracts.time_limits import (
    Contract,
    alive_until_s,
    terms,
    unattended_limit_s,
)
from hansa.reconcile.member.guard_verdicts import Sight, read_runs, renewals, verdicts
from hansa.reconcile.member.lifecycle import End, Reported, Run, Situation, next_action
from hansa.reconcile.member.workload import WorkloadView

BEGIN = 1_000_080
SKEW_S = 60
STEP_S = 5
KUBELET_S = 90
HEARTBEAT_S = 15


@dataclass
class Hands:
    """True time, and a wall clock that may be off."""

    true_s: float = BEGIN
    off_s: float = 0.0

    def now(self) -> float:
        return self.true_s + self.off_s

    def monotonic(self) -> float:
        return self.true_s


class League:
    """The run's world, a step of five seconds at a time."""

    def __init__(self, longest_s: int, policy: str = "Continue") -> None:
        job = Disconnection.model_validate({"maxUnattendedSeconds": longest_s, "policy": policy})
        limit_s = unattended_limit_s(job, disconnect_s=45, stop_margin_s=15)
        self.longest_s = longest_s
        self.contract = Contract(limit_s, 2_592_000, float(BEGIN))
        self.clock, self.guards_clock = Hands(), Hands()
        self.heard_s = float(BEGIN)
        """When the hub last heard of the member."""
        self.lease_s = float(BEGIN)
        self.config_map = alive.validity(BEGIN, alive_until_s(self.contract, BEGIN))
        self.file = dict(self.config_map)
        self.stale_since: float | None = None
        self.namespace = self.pods = True
        self.link = self.cable = True
        self.agent: Contact | None = Contact(self.clock, last_s=self.lease_s)
        self.guard: ContactWatch | None = None
        self.start_guard()

    def start_agent(self) -> None:
        self.agent = Contact(self.clock, last_s=self.lease_s)

    def start_guard(self) -> None:
        self.guard = ContactWatch(self.guards_clock, skew_s=SKEW_S, grace_s=60)

    def pass_(self, seconds: int) -> None:
        for _ in range(0, seconds, STEP_S):
            self.clock.true_s += STEP_S
            self.guards_clock.true_s += STEP_S
            self.agent_acts()
            if self.guard is not None:
                self.guard_acts(self.guard)
            self.kubelet_acts()
            self.check()

    def agent_acts(self) -> None:
        if self.agent is None:
            return
        now_s = self.clock.true_s
        if self.link and now_s % HEARTBEAT_S == 0:
            self.agent.made(self.agent.moment())
            self.heard_s = self.lease_s = now_s
        run = Run(
            contract=self.contract,
            record=EpochRecord("u", 1, "d", Outcome.ACCEPTED, 0, 0, "-"),
            reported=Reported(accepted=True, rendered=True, running=True),
            namespace="Active",
            workload=WorkloadView(BEGIN, started=True, running=True, running_s=BEGIN),
        )
        situation = Situation(now_s, unattended_s=self.agent.unattended_s(self.contract.granted_s))
        if self.namespace and isinstance(next_action(run, situation), End):
            self.namespace = False

    def guard_acts(self, watch: ContactWatch) -> None:
        if not self.namespace:
            return
        # The API server's clock is right.
        now_s = max(self.guards_clock.now(), self.clock.true_s)
        watch.seen(self.lease_s, now_s)
        sight = Sight(
            node="tartu",
            now_s=now_s,
            contact_s=watch.last_s,
            contact_age_s=watch.age_s(now_s),
            alive_until_s={"run": alive.read_until({"data": self.config_map}) or 0.0},
        )
        labels = {"hansa.dev/job-uid": "u", "hansa.dev/epoch": "1", "hansa.dev/node": "tartu"}
        metadata = {
            "name": "run",
            "uid": "x",
            "labels": labels,
            "annotations": terms(self.contract),
        }
        runs = read_runs([{"metadata": metadata | {"creationTimestamp": rfc3339(BEGIN)}}])
        runs = [replace(run, made_s=now_s) for run in runs]
        if verdicts(runs, sight):
            self.namespace = False
        for until_s in renewals(runs, sight).values():
            self.config_map = alive.validity(now_s, until_s)

    def kubelet_acts(self) -> None:
        now_s = self.clock.true_s
        if self.cable and now_s % KUBELET_S == 0:
            self.file = dict(self.config_map)
        if self.cable and not self.namespace:
            self.pods = False
        if now_s < (alive.read_until({"data": self.file}) or 0.0):
            self.stale_since = None
            return
        self.stale_since = now_s if self.stale_since is None else self.stale_since
        dies_s = alive.PROBE_FAILURES * alive.PROBE_PERIOD_S + alive.PROBE_GRACE_S
        if now_s - self.stale_since >= dies_s:
            self.pods = False

    def check(self) -> None:
        facts = EpochFacts(
            refused=False,
            released=False,
            granted_s=BEGIN,
            not_after_s=BEGIN + 60,
            last_contact_s=self.heard_s,
            max_unattended_s=self.longest_s,
        )
        if fence(facts, self.clock.true_s, skew_s=0).over:
            self.fenced = True
        # Once the hub may have granted elsewhere, it may: that the member is back changes nothing.
        assert not (self.fenced and self.pods), self.clock.true_s - BEGIN

    fenced = False


class NeverPastItsContract(RuleBasedStateMachine):
    """Everything that may die, be cut off or be set does, in any order."""

    @initialize(
        longest_s=st.sampled_from([60, 300, 3600]), policy=st.sampled_from(["Continue", "Stop"])
    )
    def begin(self, longest_s, policy):
        self.league = League(longest_s, policy)

    @rule()
    def agent_dies(self):
        self.league.agent = None

    @rule()
    def agent_starts(self):
        self.league.start_agent()

    @rule()
    def guard_dies(self):
        self.league.guard = None

    @rule(off_s=st.sampled_from([0, -86_400, -100]))
    def guard_starts(self, off_s):
        self.league.guards_clock.off_s = off_s
        self.league.start_guard()

    @rule(up=st.booleans())
    def link(self, up):
        self.league.link = up

    @rule(up=st.booleans())
    def cable(self, up):
        self.league.cable = up

    @rule(seconds=st.sampled_from([5, 40, 200, 1000, 3400, 3700]))
    def time_passes(self, seconds):
        self.league.pass_(seconds)

    @invariant()
    def always_checked(self):
        """``League.pass_`` looks after every step."""


TestNeverPastItsContract = NeverPastItsContract.TestCase
TestNeverPastItsContract.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize("longest_s", [60, 300, 3600])
def test_a_run_lives_while_all_is_well(longest_s):
    league = League(longest_s)
    league.pass_(3 * 3600)
    assert league.namespace
    assert league.pods


ALONE = {
    "agent and guard dead": ("agent_dead", "guard_dead"),
    "agent dead, machine cut off": ("agent_dead", "cable_cut"),
    "hub away, machine cut off": ("link_cut", "cable_cut"),
    "hub away, guard dead, machine cut off": ("link_cut", "guard_dead", "cable_cut"),
}


@pytest.mark.parametrize("faults", ALONE.values(), ids=ALONE)
@pytest.mark.parametrize("longest_s", [60, 3600])
def test_a_run_nobody_can_reach_ends_by_itself(longest_s, faults):
    league = League(longest_s)
    league.pass_(600)
    for fault in faults:
        what, _, _ = fault.partition("_")
        setattr(league, what, None if fault.endswith("dead") else False)
    league.pass_(4000)
    assert not league.pods


def test_pods_are_told_of_no_more_than_their_contract():
    """The guard renews while the hub is away; then the machine is cut off as well."""
    league = League(3600)
    league.pass_(600)
    league.link = False
    league.pass_(3400)
    assert league.pods
    league.cable = False
    league.pass_(300)
    assert not league.pods


def test_a_run_whose_time_ran_out_does_not_go_on_because_the_agent_is_back():
    """The agent makes contact before it looks at its runs, and has to end this one all the same."""
    league = League(3600)
    league.agent = league.guard = None
    league.clock.true_s += 3690
    league.start_agent()
    league.agent_acts()
    assert league.heard_s == league.clock.true_s
    assert not league.namespace


def test_a_run_whose_pods_were_told_to_end_is_not_told_to_live():
    """The guard was dead for long, and the agent was not: contact is fresh when the guard is back."""
    league = League(3600)
    league.guard = None
    league.pass_(3690)
    assert league.namespace
    assert not league.pods
    league.start_guard()
    league.pass_(5)
    assert not league.namespace
