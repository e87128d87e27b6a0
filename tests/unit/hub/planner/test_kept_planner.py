"""The planner that the hub keeps and one made anew from the same caches agree on what is held."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hansa.hub.league_cache import LeagueCache
from hansa.hub.planner.job_index import JobIndex
from hansa.model.snapshot import Job
from hansa.model.times import rfc3339
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.pricing import shadow_prices
from hansa.placement.pricing.market import Market
from hansa.reconcile.fencing import sign_release
from hansa.reconcile.hub.snapshot import build
from tests.residency_kit import stands_in
from tests.unit.hub import kit
from tests.unit.hub.driving import driven
from tests.unit.reconcile.hub.hub_objects import ACCEPTED, LIMITS, SKEW_S, condition

NODES = ("tartu", "riga", "porto")
SPACES = {"clinic": "clinic", "lab": "university"}
UNATTENDED_S = 3600
FULL = {"conditions": [condition("Accepted", "False", "DiskFull", "no room for the image")]}
"""A refusal that passes by itself."""
PICK = st.integers(0, 1 << 16)
PREEMPTS = {"policy": "LowerPriority", "minRuntimeSeconds": 0}


class HubAndLeague(RuleBasedStateMachine):
    """Owners, members and admins do as they like; writes fail; leadership comes and goes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = kit.Time()
        self.store = kit.Store(self.clock)
        for name in NODES:
            kit.node(self.store, name, kit.lent(machines=1, each=4))
        for space, institution in SPACES.items():
            kit.namespace(self.store, space, institution)
        kit.pool(self.store, preemption=PREEMPTS)
        self.hub = kit.HubKit(self.store, self.clock)
        self.names = 0
        self.contact = dict.fromkeys(NODES, self.clock.now_s)
        self.stopped = set()
        """Paths of grants whose node was cut off for so long that it has stopped them itself."""
        self.asked: Market | None = None
        self.hub.hear()
        self.hub.lead()
        self.hub.plan()

    # Owners.

    @rule(
        space=st.sampled_from(sorted(SPACES)),
        count=st.integers(1, 3),
        least=st.sampled_from([None, 1]),
        priority=st.sampled_from([0, 0, 500]),
        many=st.integers(1, 4),
    )
    def submit(self, space, count, least, priority, many):
        for _ in range(many):
            self.names += 1
            shape = kit.gpus(count, 1, **({"minCount": least} if least else {}))
            kit.submit(self.store, f"j{self.names}", space, priority=priority, **shape)

    @rule(pick=PICK)
    def suspend_or_resume(self, pick):
        for path, job in self.one("AIJob", pick):
            kit.respec(self.store, path, suspend=not job["spec"].get("suspend", False))

    @rule(pick=PICK, count=st.integers(1, 5))
    def change_spec(self, pick, count):
        for path, _ in self.one("AIJob", pick):
            kit.respec(self.store, path, **kit.gpus(count))

    @rule(pick=PICK)
    def delete(self, pick):
        for path, _ in self.one("AIJob", pick):
            kit.erase(self.store, path)

    # Members.

    @rule(refuse=st.sampled_from(["", "", *NODES]))
    def members_answer(self, refuse):
        """Each node says yes or no to all it was asked; one may be full for the moment."""
        for path, grant in kit.grants(self.store).items():
            self.judge(path, grant, accept=grant["spec"]["node"] != refuse)

    def judge(self, path, grant, *, accept):
        """A member keeps its contract: it takes nothing stale, nothing that is to stop."""
        fresh = rfc3339(self.clock.now()) <= grant["spec"]["notAfter"]
        if not grant.get("status"):
            accept = accept and fresh and grant["spec"]["cancel"] == "None"
            kit.answer(self.store, path, ACCEPTED if accept else FULL)

    @rule(pick=PICK)
    def finish(self, pick):
        for path, grant in self.one("WorkGrant", pick):
            self.end(path, grant)

    def end(self, path, grant):
        if not lives(grant):
            return
        done = [condition("Accepted"), condition("Succeeded")]
        is_whole = grant["spec"]["cancel"] == "None" and path not in self.stopped
        status = {**ACCEPTED, "conditions": done} if is_whole else ACCEPTED
        spec = grant["spec"]
        word = sign_release(
            kit.SIGNER,
            node=spec["node"],
            job_uid=spec["job"]["uid"],
            epoch=spec["epoch"],
            now_s=self.clock.now(),
        )
        kit.answer(self.store, path, {**status, "release": word})

    # Admins.

    @rule(
        node=st.sampled_from(NODES),
        scheduling=st.sampled_from(["Open", "Open", "Cordoned", "Draining"]),
        generation=st.integers(0, 2),
        machines=st.sampled_from([1, 1, 1, 2]),
        closed=st.sampled_from([False, False, False, True]),
    )
    def admin(self, node, scheduling, generation, machines, closed):
        self.set_node(node, scheduling, machines, generation)
        residency = stands_in("LV")
        kit.pool(self.store, preemption=PREEMPTS, **({"residency": residency} if closed else {}))

    def set_node(self, node, scheduling, machines, generation):
        status = {**kit.lent(machines, 4), "policyGeneration": generation}
        kit.node(self.store, node, status, scheduling=scheduling)

    @rule(seconds=st.sampled_from([1, 30, 61, 700, 4000]), cut=st.sampled_from(["", *NODES]))
    def time_passes(self, seconds, cut):
        """What watches have to deliver they deliver within the skew; one node may be cut off."""
        self.hub.hear()
        self.clock.now_s += seconds
        for node in NODES:
            if node != cut:
                kit.beat(self.store, node)
                self.contact[node] = self.clock.now_s
        for path, grant in kit.grants(self.store).items():
            if self.clock.now_s - self.contact[grant["spec"]["node"]] > UNATTENDED_S:
                self.stopped.add(path)
        self.hub.hear()
        driven(self.hub.controller.tick())
        self.hub.queue.come_back()

    # The hub.

    @rule()
    def hear(self):
        self.hub.hear()

    @rule()
    def plan(self):
        self.hub.plan()

    @rule(most=st.sampled_from([1, 3, 100]))
    def work(self, most):
        self.hub.work(most)

    @rule(trouble=st.sampled_from(["lost", "answer"]))
    def write_fails(self, trouble):
        self.store.trouble = trouble
        self.hub.work(1)
        self.store.trouble = ""

    @rule()
    def run(self):
        if self.hub.leads:
            self.hub.settle_down(3)

    @rule(
        refuse=st.sampled_from(["", *NODES]),
        silent=st.sampled_from(NODES),
        seconds=st.sampled_from([61, 4000]),
    )
    def a_node_goes_silent(self, refuse, silent, seconds):
        """What was granted is answered, and then time passes without one of the nodes."""
        self.run()
        self.members_answer(refuse)
        self.run()
        self.time_passes(seconds, silent)

    @rule()
    def ask_for_prices(self):
        """A solver elsewhere begins with what the last full plan began with."""
        self.asked = self.hub.plans.market or self.asked

    @rule()
    def prices_come(self):
        """Whatever has happened meanwhile."""
        if self.asked is not None:
            self.hub.plans.reprice(shadow_prices.solve(self.asked).prices)

    @rule()
    def lose_leadership(self):
        self.hub.step_down()
        self.hub.work()

    @rule(pick=PICK)
    def another_leads_for_a_while(self, pick):
        self.lose_leadership()
        self.delete(pick)
        self.hub.hear()
        self.hub.plan()
        self.lead()

    @rule()
    def lead(self):
        if not self.hub.leads:
            self.hub.lead()

    # What holds.

    @invariant()
    def both_planners_agree(self):
        """Once the kept planner has caught up, it knows what the caches say, and has as much free."""
        if not self.hub.leads:
            return
        for _ in range(9):
            if not self.hub.plan():
                break
        else:
            raise AssertionError("plans do not come to rest")
        kept, fresh = self.hub.plans._planner, self.made_anew()
        assert known(kept.snapshot()) == known(fresh.snapshot())
        assert free(kept._league) == free(fresh._league)

    def made_anew(self):
        """A planner from the caches, and from what was decided but is not carried out."""
        plans, hub = self.hub.plans, self.hub
        league = LeagueCache(hub.caches, LIMITS)
        league.refresh_now(self.clock.now())
        book = JobIndex(hub.caches, league, clock=self.clock, skew_s=SKEW_S)
        for uid in (*hub.caches.jobs, *hub.caches.orphans()):
            book.note(uid)
        jobs = [
            book.look(uid, plans.decision(uid), plans._decisions.gpu_class(uid))
            for uid in sorted(book.active | book.orphaned)
        ]
        there = [job for job in jobs if job is not None]
        return IncrementalPlanner(build(league.view, there, self.clock.now()))

    @invariant()
    def nothing_runs_twice(self):
        living = [
            grant["spec"]["job"]["uid"]
            for path, grant in kit.grants(self.store).items()
            if lives(grant) and path not in self.stopped
        ]
        assert len(living) == len(set(living)), living

    def teardown(self):
        """Nothing is lost: when all is well again, every job that its owner wants is done."""
        self.lead()
        kit.pool(self.store, preemption=PREEMPTS)
        for path, job in sorted(self.store.objects.items()):
            if job["kind"] == "AIJob":
                kit.respec(self.store, path, suspend=False)
        for _ in range(60):
            if all(map(is_done, self.store.objects.values())):
                break
            for node in NODES:
                self.set_node(node, "Open", 2, 9)
            self.time_passes(61, "")
            self.run()
            for path, grant in kit.grants(self.store).items():
                self.judge(path, grant, accept=True)
            self.run()
            for path, grant in kit.grants(self.store).items():
                self.end(path, grant)
            self.run()
        left = [thing for thing in self.store.objects.values() if not is_done(thing)]
        assert not left

    def one(self, kind, pick):
        found = [item for item in sorted(self.store.objects.items()) if item[1]["kind"] == kind]
        return [found[pick % len(found)]] if found else []


def known(snapshot) -> dict[str, Job]:
    """Jobs with what they ask for and hold; words may name a date that moves with heartbeats."""
    return {job.uid: replace(job, barred_message="") for job in snapshot.jobs}


def free(league):
    """GPUs free by site and class, and GPUs held by pool and institution."""
    cells, left = league.fleet.cells, league.supply.cell_free.tolist()
    places = [(league.fleet.sites[cell.site].name, cell.gpu_class) for cell in cells]
    used = {who: int(league.ledger.accounts.gpus[at]) for who, at in league.ledger.leaf.items()}
    return dict(zip(places, left, strict=True)), {who: gpus for who, gpus in used.items() if gpus}


def lives(grant) -> bool:
    """Whether a member has accepted a grant and has not released it."""
    status = grant.get("status") or {}
    return "acceptedAt" in status and "release" not in status


def is_done(thing) -> bool:
    if thing["kind"] == "WorkGrant":
        return False
    if thing["kind"] != "AIJob":
        return True
    conditions = (thing["status"] or {}).get("conditions", ())
    return any(row["type"] == "Succeeded" and row["status"] == "True" for row in conditions)


def test_the_kept_planner_agrees_with_the_caches(monkeypatch):
    """Every league counts as large: prices come from elsewhere."""
    monkeypatch.setattr(shadow_prices, "SMALL_ARCS", 0)
    run_state_machine_as_test(
        HubAndLeague,
        settings=settings(
            max_examples=15,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
