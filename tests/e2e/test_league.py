"""The main job, end to end: real clusters, charts, pods, Ray, data, Prometheus, audit logs.

One league serves all tests of this file: first its machines and wires are what they claim; then
the story runs once, and every promise is checked on it.
"""

import json
import subprocess

import pytest

from e2e.demo.jobs import ENDED, JOB_S, apply_manifest, condition, finished, holds, wait_for
from e2e.demo.report import Report
from e2e.demo.run import audit, run_story, running_league, scene_of
from e2e.testbed.cluster.readiness import wait_service_account
from e2e.testbed.host.clock import TIMEOUT, elapsed_s, wait_until
from e2e.testbed.host.processes import ProcessDiedError
from e2e.testbed.host.progress import Progress
from e2e.testbed.league.founding import SYSTEM
from e2e.testbed.machines import state
from e2e.testbed.machines.teardown import remains
from tests.e2e.league_jobs import astray, groups
from tests.e2e.unattended_kit import CONTRACT_S, FIRST, Watch, manifest

pytestmark = pytest.mark.e2e

NAME = "league-test"
RUNS = 9
"""Four of the story's five jobs, two that were audited, and three audits: one found its job equal, two a cheat."""
STARTS = "sum(max_over_time(hansa_job_start_latency_seconds_count[1h]))"
REFUSALS = (
    'sum(max_over_time(hansa_grant_refusals_total{node="lisbon",reason="WorkloadNotAccepted"}[1h]))'
)


@pytest.fixture(scope="module")
def running(root_on_linux):  # noqa: ARG001  # only asks whether it can run here
    """The league as it is founded; taken down afterwards, and nothing of it may remain."""
    with running_league(Progress(), name=NAME) as league:
        record = state.load(NAME)
        yield league
    assert remains(record) == []


@pytest.fixture(scope="module")
def told(running):
    """The league with its story told."""
    _stop_the_hub_when_it_was_scraped(running)
    outcomes, finding, accounts = run_story(running)
    return running, {job.name: job for job in outcomes}, finding, accounts


def _stop_the_hub_when_it_was_scraped(running):
    """Counters go with their process: what it counted last must be in Prometheus before."""
    stop = running.league.stop_hub

    def stop_later():
        wait_until(lambda: _value(running, STARTS) == RUNS, what=STARTS, poll_s=0.2)
        stop()

    running.league.stop_hub = stop_later


def _value(running, expression):
    """Return the one number that an expression gives, or None."""
    found = running.prometheus.query(expression)
    return float(found[0]["value"][1]) if len(found) == 1 else None


def test_members_dial_the_hub_and_are_not_dialled(running):
    member, hub = (running.testbed.sites[name] for name in ("tartu", "hub"))
    assert _dials(member, hub)
    assert not _dials(hub, member)


def test_a_cut_cable_is_a_partition_and_heals(running):
    member, hub = (running.testbed.sites[name] for name in ("tartu", "hub"))
    member.set_cable(up=False)
    try:
        assert not _dials(member, hub)
    finally:
        member.set_cable(up=True)

    wait_until(lambda: _dials(member, hub), what="the cable to carry again")


def test_every_kubelet_has_a_device_plugin_socket_of_its_own(running):
    identity = ["stat", "-c", "%d:%i", "/var/lib/kubelet/device-plugins/kubelet.sock"]
    machines = [machine for site in running.testbed.sites.values() for machine in site.machines]

    sockets = {subprocess.check_output([*machine.enter, *identity]) for machine in machines}

    assert len(sockets) == len(machines) > 1


def test_a_daemon_that_ends_is_named_with_its_log(running):
    machine = running.testbed.sites["hub"].machines[0]
    machine.check_daemons()
    dying = machine.run("dying", ["sh", "-c", "echo no disk; exit 1"])
    wait_until(lambda: not dying.alive(), what="it to end")

    with pytest.raises(ProcessDiedError, match=r"dying ended early(?s:.*)no disk"):
        machine.check_daemons()


def _dials(one, other):
    address = other.addresses[0]
    test = f"exec 3<>/dev/tcp/{address}/6443"
    argv = [*one.machines[0].enter, "timeout", "3", "bash", "-c", test]
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("job", "allowed", "node", "outcome"),
    {
        "the study stays in Estonia": ("screening", ("tartu",), "tartu", "Succeeded"),
        "the cheapest eligible node": ("digits", ("riga", "tartu"), "riga", "Succeeded"),
        "no node may host it": ("nowhere", ("tartu",), None, "Pending"),
        "refused, then elsewhere": (
            "tuning",
            ("lisbon", "riga", "tartu"),
            "riga",
            "Succeeded",
        ),
        "the hub was stopped": ("screening-unattended", ("tartu",), "tartu", "Succeeded"),
    }.values(),
)
def test_jobs_end_as_the_story_says(told, job, allowed, node, outcome):
    _, jobs, *_ = told
    assert (jobs[job].allowed_nodes, jobs[job].node, jobs[job].outcome) == (allowed, node, outcome)


def test_results_are_those_of_the_real_data(told):
    _, jobs, *_ = told
    assert jobs["screening"].result["samples"] == 569
    assert 0.9 < jobs["screening"].result["accuracy"] <= 1
    assert 0.9 < jobs["digits"].result["accuracy"] <= 1


def test_every_refusal_and_verdict_is_told(told):
    _, jobs, *_ = told
    assert set(jobs["nowhere"].reasons) == {
        "tartu: NoSuchAccelerator",
        "riga: LegalControlDenied",
        "lisbon: ResidencyDenied",
    }
    assert "lisbon: WorkloadNotAccepted" in jobs["tuning"].reasons


def test_no_pod_was_created_outside_residency(told, record_property):
    _, _, finding, _ = told
    found = (
        f"{finding.examined}, of jobs: {finding.of_jobs}, bound to machines: {finding.bound},"
        f" outside residency: {len(finding.outside)}"
    )
    record_property("pod creations examined", found)
    assert finding.outside == ()
    assert finding.of_jobs >= 2 * RUNS, "each run has a head and a worker at least"
    assert 2 * RUNS <= finding.bound <= finding.of_jobs


def test_the_audit_sees_a_pod_on_the_machine_abroad(told):
    """What the story must never do is done by hand: the machine is there, and takes what no rule keeps at home.

    In a namespace of its own, for the lock lets nobody make one of a run's name.
    """
    running, _, before, _ = told
    hub, tartu = running.league.hub, running.testbed.sites["tartu"]
    uid = hub.get("aijob", "screening", "-n", "hospital")["metadata"]["uid"]
    space, pod = astray(uid, running.image)
    tartu.apply(space)
    wait_service_account(tartu, "astray")
    tartu.apply(pod)
    tartu.kubectl("wait", "pod/p", "-n", "astray", "--for=condition=PodScheduled", TIMEOUT)

    found = audit(scene_of(running))

    assert tartu.get("pod", "p", "-n", "astray")["spec"]["nodeName"] == "tartu-abroad"
    assert [one.why for one in found.outside] == ["namespace astray is not the job's"]
    assert (found.of_jobs, found.bound) == (before.of_jobs + 1, before.bound + 1)
    tartu.kubectl("delete", "namespace", "astray", "--wait=false")


def test_every_finished_job_was_receipted_billed_and_checked_offline(told, record_property):
    """Its receipts tile its runs, are countersigned, logged and posted; nothing speaks against them."""
    _, jobs, _, accounts = told
    record_property("accounts", [f"{one.job}: {one.amount} EUR" for one in accounts])
    ended = {job.full_name: job.node for job in jobs.values() if job.outcome == "Succeeded"}
    assert {one.job: one.node for one in accounts} == ended
    assert len(ended) == 4
    assert all(one.faults == () for one in accounts)
    assert all(one.micros > 0 and one.gpu_seconds > 0 for one in accounts)


def test_one_job_was_found_equal_elsewhere_and_a_cheat_was_found(told, record_property):
    running, *_ = told
    equal, faked = running.verification.found
    record_property("audits", [f"{one.job}: {one.message}" for one in (equal, faked)])
    assert (equal.node, equal.auditors, equal.verdict) == ("riga", ("tartu",), "Passed")
    assert (faked.node, sorted(faked.auditors), faked.verdict) == (
        "lisbon",
        ["riga", "tartu"],
        "Failed",
    )
    assert float(faked.seized) > 0
    jobs = {one.job: one for one in (equal, faked)}
    doubt = running.league.hub.get("aijob", "made-up", "-n", "hospital")["status"]["assurance"]
    assert (doubt["audit"], doubt["message"]) == ("Failed", jobs["hospital/made-up"].message)


def test_nothing_of_a_finished_job_stays_at_a_member(told):
    running, *_ = told

    def gone():
        return not [
            namespace["metadata"]["name"]
            for member in running.league.members.values()
            for namespace in member.get("namespaces")["items"]
            if namespace["metadata"]["name"].startswith("aij-")
        ]

    wait_until(gone, what="the jobs' namespaces to go", poll_s=1)


def test_logs_leave_only_where_the_policy_exports_them(told):
    running, *_ = told
    hub = running.league.hub
    at_tartu = hub.get("aijob", "screening", "-n", "hospital")["status"]
    at_riga = hub.get("aijob", "digits", "-n", "hospital")["status"]
    assert "accuracy" in at_tartu["logTail"]
    assert "logTail" not in at_riga


@pytest.mark.parametrize(
    ("expression", "value"),
    {
        "GPUs by jurisdiction": ('sum(hansa_gpus{jurisdiction="EE"})', 4),
        "every node's GPUs are counted": ("count(hansa_gpus_allocated)", 3),
        "and free again": ("sum(hansa_gpus_allocated)", 0),
        "jobs that ended well": ('sum(hansa_jobs{pool="league",reason="Succeeded"})', RUNS),
        "all jobs": ("sum(hansa_jobs)", RUNS + 1),
        "queue waits": ("sum(max_over_time(hansa_job_queue_wait_seconds_count[1h]))", RUNS),
        "start latencies": (STARTS, RUNS),
        "refusals, as the hub counts them": (REFUSALS, 1),
        "and no other": ("sum(max_over_time(hansa_grant_refusals_total[1h]))", 1),
        "refusals, as the member counts them": (
            'sum(hansa_member_refusals_total{cluster="lisbon",reason="WorkloadNotAccepted"})',
            1,
        ),
        "and nobody else": ("sum(hansa_member_refusals_total)", 1),
        "a certified plan": ("count(hansa_plan_gap_ratio >= 0 and hansa_plan_gap_ratio <= 1)", 1),
        "one leader": ("sum(hansa_leader)", 1),
        "leases are fresh": ("count(hansa_node_lease_age_seconds < 60)", 3),
        "watches are alive": ("count(hansa_watch_event_age_seconds > 150) or vector(0)", 0),
        "members report": (
            "count(count by (cluster) (hansa_member_hub_contact_age_seconds < 60))",
            3,
        ),
        "no GPU is said, not hidden": ('count(hansa_gpu_probe_up{reason="NoDriver"} == 0)', 3),
    }.values(),
)
def test_prometheus_has_it(told, expression, value):
    running, *_ = told
    _becomes(running, expression, value)


def test_a_waiting_job_has_one_reason_in_condition_and_metric(told):
    running, *_ = told
    job = running.league.hub.get("aijob", "nowhere", "-n", "hospital")
    reason = condition(job, "Placed")["reason"]
    _becomes(running, f'sum(hansa_jobs{{reason="{reason}"}})', 1)


def _becomes(running, expression, value):
    last = [None]

    def equal():
        last[0] = _value(running, expression)
        return last[0] == value

    try:
        wait_until(equal, what=expression, poll_s=1)
    except TimeoutError:
        assert last[0] == value, expression
        raise


def test_all_targets_are_up(told):
    running, *_ = told
    down = ["none found yet"]

    def all_up():
        # Ray clusters of ended jobs are going away meanwhile: a target of theirs is down for good.
        running.prometheus.refresh()
        targets = running.prometheus.targets()
        down[:] = [f"{t['labels']}: {t['lastError']}" for t in targets if t["health"] != "up"]
        return targets and not down

    try:
        wait_until(all_up, what="all targets to be up", poll_s=3)
    except TimeoutError:
        assert down == []
        raise


def test_the_report_is_json(told):
    _, jobs, finding, _ = told
    report = Report("local", 1.0, finding.examined, len(finding.outside), tuple(jobs.values()))
    assert len(json.loads(report.to_json())["jobs"]) == 5
    assert "SUCCEEDED" in ENDED


def test_a_head_with_a_gpu_and_two_groups_run_as_one_gang(running):
    """After all that counts the story's runs, and before a member is left without its agent."""
    hub, job = running.league.hub, groups(running.image)
    what = "the job of several groups to end"
    ended = wait_for(hub, apply_manifest(hub, job), finished, what=what)
    status = ended["status"]
    assert holds(ended, "Succeeded"), status
    found = json.loads(status["result"])
    kinds = sorted(found["kinds"], key=lambda kind: kind.get("ssd", 0))
    assert kinds == [{"CPU": 1, "GPU": 1}, {"CPU": 1, "GPU": 1}, {"CPU": 1, "ssd": 2}]
    assert found["places"] == 2
    assert status["workers"] == 2
    assert status["usage"]["gpuSeconds"] >= 2 * (status["usage"]["wallSeconds"] - 2) > 0


def test_a_run_whose_agent_is_gone_ends_by_itself_within_its_contract(told, record_property):
    """The last, for its member is left so.

    The rest of this story, where it then runs and when, is in ``test_unattended``: it takes longer.
    """
    running, *_ = told
    name, node = "left-alone", FIRST["left-alone"]
    with Watch(running.testbed.sites).on() as watch:
        running.league.hub.apply(manifest(name, running.image))
        wait_until(lambda: watch.where(name) == {node}, what="it to run", timeout_s=JOB_S)
        begun_s = elapsed_s()
        scale = ("scale", "deployment/hansa-member", "--replicas=0")
        running.league.members[node].kubectl("-n", SYSTEM, *scale)
        wait_until(lambda: not watch.where(name), what="it to end")
        alone_s = watch.ended_s[name, node] - begun_s
    record_property("seconds until a run without an agent had ended", round(alone_s))
    assert alone_s <= CONTRACT_S
    assert watch.twice == []
