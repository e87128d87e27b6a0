"""Prometheus accepts the rules, fires each alert when it should and only then, and reads every page."""

import subprocess
from pathlib import Path

import pytest
import yaml

from hansa.observability.alerts import ALERTS, rule_groups
from tests.unit.observability.pages import FULL, full_page

ROOT = Path(__file__).parents[3]
CHARTS = ("hub", "member")


def ask(promtool, *arguments):
    return subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("chart", CHARTS)
def test_prometheus_accepts_the_rules(promtool, chart):
    answer = ask(promtool, "check", "rules", str(ROOT / f"helm/hansa-{chart}/files/alerts.yaml"))
    assert answer.returncode == 0, answer.stderr
    assert f"{sum(a.process == chart for a in ALERTS)} rules found" in answer.stdout


FIRES = {
    "HansaLedgerBehind": {"hansa_ledger_waiting_receipts": "1001x30"},
    "HansaLedgerDifferences": {"hansa_ledger_differences": "1x120"},
    "HansaAuditFailed": {'hansa_decided_audits{verdict="Failed"}': "3x5 4x25"},
    "HansaAuditsOverdue": {"hansa_overdue_audits": "1x120"},
    "HansaAuditsInconclusive": {
        'hansa_decided_audits{verdict="Inconclusive"}': "3+1x120",
        'hansa_decided_audits{verdict="Passed"}': "3+3x120",
    },
    "HansaProbeFailed": {'hansa_decided_probes{outcome="Failed"}': "3x5 4x25"},
    "HansaProjectBudget": {'hansa_project_budget_ratio{project="clinic/a"}': "0.8x30"},
    "HansaProjectOverBudget": {'hansa_project_budget_ratio{project="clinic/a"}': "1x30"},
    "HansaHubNoLeader": {
        'hansa_leader{instance="a",lease="hansa-hub"}': "0x30",
        'hansa_leader{instance="b",lease="hansa-hub"}': "0x30",
    },
    "HansaNodeUnreachable": {'hansa_node_lease_age_seconds{node="tartu"}': "0+60x30"},
    "HansaNodeDisputed": {
        'hansa_objects{kind="SovereignNode",condition="JurisdictionAgreed",status="False"}': "1x30"
    },
    "HansaJobsUndecided": {'hansa_jobs{pool="league",reason="Pending"}': "3x30"},
    "HansaGrantsRefused": {
        'hansa_grant_refusals_total{instance="a",node="t",reason="Paused"}': "0x9 19x30",
        'hansa_grant_refusals_total{instance="b",node="t",reason="Paused"}': "0x9 19x30",
    },
    "HansaWatchDeaf": {'hansa_watch_event_age_seconds{resource="aijobs"}': "0+60x30"},
    "HansaHubSilent": {"hansa_member_hub_contact_age_seconds": "0+60x30"},
    "HansaGuardSilent": {
        'hansa_guard_pass_age_seconds{instance="a"}': "61x30",
        'hansa_guard_pass_age_seconds{instance="b"}': "61x30",
    },
    "HansaTokenExpiring": {"hansa_member_token_remaining_seconds": "1000x120"},
    "HansaClockSkewed": {"hansa_member_clock_skew_seconds": "-600x30"},
    "HansaHubClockSkewed": {'hansa_hub_clock_skew_seconds{instance="h"}': "-31x30"},
    "HansaMemberUnfit": {'hansa_member_condition{condition="KubeRayReady"}': "0x30"},
    "HansaRunNotRemoved": {'hansa_member_condition{condition="RunsRemoved"}': "0x30"},
    "HansaGpuUnread": {'hansa_gpu_probe_up{instance="m",reason="DriverError"}': "0x30"},
    "HansaGpuMissing": {
        'hansa_member_machine_gpus{machine="m"}': "8x5 7x60",
        'hansa_machine_gpus_seen{machine="m"}': "7x60",
    },
    "HansaExporterGone": {
        'hansa_member_machine_gpus{machine="m"}': "8x60",
        'hansa_machine_gpus_seen{machine="n"}': "8x60",
    },
    "HansaGpuMemoryErrors": {
        'hansa_gpu_ecc_errors_total{instance="m",gpu="g",severity="uncorrected"}': "1x30"
    },
    "HansaGpuXid": {
        'hansa_gpu_xid_errors_total{instance="m",gpu="g",cause="hardware"}': "0x5 1x30"
    },
    "HansaGpuHot": {
        'hansa_gpu_temperature_celsius{instance="m",gpu="g"}': "85x30",
        'hansa_gpu_slowdown_celsius{instance="m",gpu="g"}': "87x30",
    },
    "HansaGpuHeldIdle": {
        'hansa_gpu_busy_ratio{instance="m",gpu="g"}': "0x120",
        'hansa_gpu_job_info{instance="m",gpu="g",aijob="u-1",institution="i"}': "1x120",
    },
}
QUIET = {
    "HansaLedgerBehind": {
        "hansa_ledger_waiting_receipts": "1000x30",
        "hansa_ledger_books_age_seconds": "600x30",
    },
    "HansaLedgerDifferences": {"hansa_ledger_differences": "0x120"},
    "HansaAuditFailed": {
        'hansa_decided_audits{verdict="Failed"}': "4x30",
        'hansa_decided_audits{verdict="Passed"}': "3+1x30",
    },
    "HansaAuditsOverdue": {"hansa_overdue_audits": "0x120"},
    "HansaAuditsInconclusive": {
        'hansa_decided_audits{verdict="Inconclusive"}': "3+1x120",
        'hansa_decided_audits{verdict="Passed"}': "3+5x120",
    },
    "HansaProbeFailed": {
        'hansa_decided_probes{outcome="Failed"}': "4x30",
        'hansa_decided_probes{outcome="Lost"}': "3+1x30",
    },
    "HansaProjectBudget": {'hansa_project_budget_ratio{project="clinic/a"}': "0.79x30"},
    "HansaProjectOverBudget": {'hansa_project_budget_ratio{project="clinic/a"}': "0.99x30"},
    "HansaHubNoLeader": {
        'hansa_leader{instance="a",lease="hansa-hub"}': "0x30",
        'hansa_leader{instance="b",lease="hansa-hub"}': "1x30",
    },
    "HansaNodeUnreachable": {'hansa_node_lease_age_seconds{node="tartu"}': "120x30"},
    "HansaNodeDisputed": {
        'hansa_objects{kind="SovereignNode",condition="JurisdictionAgreed",status="True"}': "1x30"
    },
    "HansaJobsUndecided": {'hansa_jobs{pool="league",reason="WaitingForCapacity"}': "3x30"},
    "HansaGrantsRefused": {
        'hansa_grant_refusals_total{node="t",reason="Paused"}': "0x9 20x19",
        'hansa_grant_refusals_total{node="u",reason="Paused"}': "0x9 20x19",
    },
    "HansaWatchDeaf": {'hansa_watch_event_age_seconds{resource="aijobs"}': "300x30"},
    "HansaHubSilent": {"hansa_member_hub_contact_age_seconds": "600x30"},
    "HansaGuardSilent": {
        'hansa_guard_pass_age_seconds{instance="a"}': "9999x30",
        'hansa_guard_pass_age_seconds{instance="b"}': "60x30",
    },
    "HansaTokenExpiring": {"hansa_member_token_remaining_seconds": "259200x120"},
    "HansaClockSkewed": {"hansa_member_clock_skew_seconds": "-30x30"},
    "HansaHubClockSkewed": {'hansa_hub_clock_skew_seconds{instance="h"}': "30x30"},
    "HansaMemberUnfit": {'hansa_member_condition{condition="HubReachable"}': "0x30"},
    "HansaRunNotRemoved": {'hansa_member_condition{condition="RunsRemoved"}': "1x30"},
    "HansaGpuUnread": {'hansa_gpu_probe_up{instance="m",reason="NoDriver"}': "0x30"},
    "HansaGpuMissing": {
        'hansa_member_machine_gpus{machine="m"}': "8x60",
        'hansa_machine_gpus_seen{machine="m"}': "8x60",
        # A machine that has left the cluster misses nothing.
        'hansa_member_machine_gpus{machine="gone"}': "8x5 _x60",
        'hansa_machine_gpus_seen{machine="gone"}': "8x5 0x60",
    },
    "HansaExporterGone": {'hansa_member_machine_gpus{machine="m"}': "8x60"},
    "HansaGpuMemoryErrors": {
        'hansa_gpu_ecc_errors_total{instance="m",gpu="g",severity="corrected"}': "9x30"
    },
    "HansaGpuXid": {
        'hansa_gpu_xid_errors_total{instance="m",gpu="g",cause="application"}': "0x5 1x30",
        'hansa_gpu_xid_errors_total{instance="m",gpu="g",cause="hardware"}': "5x30",
    },
    "HansaGpuHot": {
        'hansa_gpu_temperature_celsius{instance="m",gpu="g"}': "92x30",
        'hansa_gpu_slowdown_celsius{instance="m",gpu="g"}': "95x30",
        'hansa_gpu_temperature_celsius{instance="m",gpu="untold"}': "89x30",
    },
    "HansaGpuHeldIdle": {
        'hansa_gpu_busy_ratio{instance="m",gpu="g"}': "0x120",
        'hansa_gpu_job_info{instance="m",gpu="g",aijob="none",institution=""}': "1x120",
    },
}


LOST = {
    "one card, and the plugin began anew": (
        "HansaGpuMissing",
        {
            'hansa_member_machine_gpus{machine="m"}': "8x5 7x5000",
            'hansa_machine_gpus_seen{machine="m"}': "8x5 7x5000",
        },
    ),
    "the driver, and the machine began anew": (
        "HansaGpuMissing",
        {
            'hansa_member_machine_gpus{machine="m"}': "8x5 0x5000",
            'hansa_machine_gpus_seen{machine="m"}': "8x5 0x5000",
        },
    ),
    "the driver, and with it what places the exporter": (
        "HansaExporterGone",
        {
            'hansa_member_machine_gpus{machine="m"}': "8x5 0x5000",
            'hansa_machine_gpus_seen{machine="m"}': "8x5 _x5000",
            'hansa_machine_gpus_seen{machine="n"}': "8x5005",
        },
    ),
    "every exporter": (
        "HansaExporterGone",
        {
            'hansa_member_machine_gpus{machine="m"}': "8x5005",
            'hansa_machine_gpus_seen{machine="m"}': "8x5 _x5000",
        },
    ),
}
"""Hardware that went, and nobody came: what the Node says follows it. Three days are a long weekend."""
GKE = {
    'hansa_member_machine_gpus{machine="m"}': "8x5005",
    'hansa_member_machine_gpus_offered{machine="m"}': "8x5005",
    'hansa_machine_gpus_seen{machine="m"}': "0x5005",
}
"""An exporter to which the driver was never shown, on a machine whose pods get its cards."""
FLAPPING = " ".join(["0x3 stale"] * 1000)
TOLD_APART = {
    "an exporter that sees no driver is no missing card": ("HansaGpuMissing", GKE, False),
    "and nobody reads that machine": ("HansaExporterGone", GKE, True),
    "a driver that went while its cards are still offered": (
        "HansaGpuMissing",
        GKE | {'hansa_machine_gpus_seen{machine="m"}': "8x5 0x5000"},
        True,
    ),
    "a driver that never came to a machine with a label that tells of cards": (
        "HansaGpuMissing",
        GKE | {'hansa_member_machine_gpus_offered{machine="m"}': "0x5005"},
        True,
    ),
    "cut cards, of which there are fewer than slices": (
        "HansaGpuMissing",
        {
            'hansa_member_machine_gpus{machine="m"}': "8x5005",
            'hansa_member_machine_gpus_offered{machine="m"}': "56x5005",
            'hansa_machine_gpus_seen{machine="m"}': "8x5005",
        },
        False,
    ),
    "a machine without cards": (
        "HansaExporterGone",
        {
            'hansa_member_machine_gpus{machine="m"}': "0x5005",
            'hansa_member_machine_gpus_offered{machine="m"}': "0x5005",
            'hansa_machine_gpus_seen{machine="m"}': "0x5005",
        },
        False,
    ),
    "a driver that answers now and then": (
        "HansaGpuUnread",
        {'hansa_gpu_probe_up{instance="m",reason="DriverError"}': FLAPPING},
        True,
    ),
    "a card that answers with errors": (
        "HansaGpuUnread",
        {
            'hansa_gpu_probe_up{instance="m",reason=""}': "1x5005",
            'hansa_gpu_probe_up{instance="m",reason="CardError"}': "0x5005",
        },
        True,
    ),
}
LONG_WEEKEND = 3 * 24 * 60

MINUTES = {"m": 1, "h": 60}


def case(alert, series, minute, *, firing):
    """Return a promtool unit test: the alert fires at ``minute``, or it does not."""
    found = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    return {
        "name": f"{alert} at minute {minute}: {firing}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f"{found} or vector(0)",
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": int(firing)}],
            }
        ],
    }


def judge(promtool, folder, chart, told):
    """Have Prometheus run tests over the rules of a chart."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(rule_groups(chart)))
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": told}
    (folder / "tests.yaml").write_text(yaml.safe_dump(document))
    answer = ask(promtool, "test", "rules", str(folder / "tests.yaml"))
    assert answer.returncode == 0, answer.stdout + answer.stderr


def hold_of(alert):
    """Return for how many minutes it must be true."""
    return int(alert.hold[:-1]) * MINUTES[alert.hold[-1]]


def end_of(alert):
    return hold_of(alert) + 15


def cases(alert):
    """Return its tests: in the end, just before it has held long enough, and at its limit."""
    hold, end = hold_of(alert), end_of(alert)
    yield case(alert.name, FIRES[alert.name], end, firing=True)
    if hold:
        yield case(alert.name, FIRES[alert.name], hold - 1, firing=False)
    yield case(alert.name, QUIET[alert.name], end, firing=False)


@pytest.mark.parametrize("chart", CHARTS)
def test_alerts_fire_when_they_should_and_only_then(promtool, chart, tmp_path):
    told = [test for alert in ALERTS if alert.process == chart for test in cases(alert)]
    judge(promtool, tmp_path, chart, told)


@pytest.mark.parametrize(("name", "series"), LOST.values(), ids=LOST)
def test_what_was_lost_is_told_until_somebody_comes(promtool, name, series, tmp_path):
    told = [case(name, series, minute, firing=True) for minute in (60, LONG_WEEKEND)]
    judge(promtool, tmp_path, "member", told)


@pytest.mark.parametrize(("name", "series", "firing"), TOLD_APART.values(), ids=TOLD_APART)
def test_what_looks_alike_is_told_apart(promtool, name, series, firing, tmp_path):
    judge(promtool, tmp_path, "member", [case(name, series, 60, firing=firing)])


def twice(series):
    """Return series as they are where two of an institution's scrapes find the same page."""
    found = {}
    for name, values in series.items():
        bare, _, labels = name.rstrip("}").partition("{")
        for job in ("hansa-system/hansa", "kubernetes-pods"):
            rest = f",{labels}" if labels else ""
            found[f'{bare}{{job="{job}"{rest}}}'] = values
    return found


@pytest.mark.parametrize("chart", CHARTS)
def test_a_page_that_is_scraped_twice_tells_the_same(promtool, chart, tmp_path):
    """By a monitor of the chart, and by annotations or a second monitor."""
    told = [
        case(alert.name, twice(table[alert.name]), end_of(alert), firing=table is FIRES)
        for alert in ALERTS
        if alert.process == chart
        for table in (FIRES, QUIET)
    ]
    judge(promtool, tmp_path, chart, told)


def test_a_guard_that_is_not_there_is_silent(promtool, tmp_path):
    told = [case("HansaGuardSilent", {"up": "1x30"}, 17, firing=True)]
    judge(promtool, tmp_path, "member", told)


def test_every_alert_is_tested_both_ways():
    assert set(FIRES) == set(QUIET) == {alert.name for alert in ALERTS}


@pytest.mark.parametrize("process", FULL)
def test_prometheus_finds_nothing_to_say_about_a_page(promtool, process):
    argv = [promtool, "check", "metrics"]
    answer = subprocess.run(argv, input=full_page(process), capture_output=True, check=False)

    assert (answer.returncode, answer.stderr) == (0, b"")
