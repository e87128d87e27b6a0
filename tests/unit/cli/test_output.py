"""What the commands print, from objects as the API server returns them."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from hansa.cli import display
from hansa.cli.access import find_kubeconfigs
from hansa.cli.jobs import logs, remedies
from hansa.cli.league import doctor, overview
from hansa.errors import Terminal
from hansa.grants.reasons import MemberReason
from hansa.member.cluster.cluster_state import KubeRay
from hansa.model.reasons import Reason
from hansa.reconcile.member.inventory.devices import Devices
from tests.residency_kit import stands_in


def condition(kind, status="True", reason="Pending"):
    return {"type": kind, "status": status, "reason": reason}


def job(*conditions, pool="league", **status):
    return {"spec": {"pool": pool}, "status": {"conditions": list(conditions), **status}}


@pytest.fixture
def watched(monkeypatch, capsys):
    """Shows two answers, one after the other, as --watch does."""

    def show(output):
        answers, pauses = iter([1, 2]), iter([None, KeyboardInterrupt])

        def pause(sleep):
            sleep.close()
            if stop := next(pauses):
                raise stop

        monkeypatch.setattr(display.asyncio, "run", pause)
        with pytest.raises(KeyboardInterrupt):
            display.repeat(
                lambda: ([display.Section("Jobs", ("GPUS",), [(next(answers),)])], 0),
                output,
                watch=True,
            )
        return capsys.readouterr().out

    return show


def test_each_look_of_a_watch_is_a_document_of_its_own(watched):
    """A program must not read the second answer as a part of the first."""
    assert [*yaml.safe_load_all(watched("yaml"))] == [
        {"jobs": [{"gpus": 1}]},
        {"jobs": [{"gpus": 2}]},
    ]
    assert "---" not in watched("json")


STATES = {
    "no hub yet": (job(), "Pending"),
    "waiting": (job(condition("Placed", "False", "WaitingForCapacity")), "WaitingForCapacity"),
    "misconfigured": (job(condition("Accepted", "False", "Misconfigured")), "Misconfigured"),
    "granted": (job(condition("Placed")), "Placed"),
    "running": (job(condition("Placed"), condition("Running")), "Running"),
    "ended well": (job(condition("Succeeded"), condition("Running", "False")), "Succeeded"),
    "ended badly": (job(condition("Failed", "True", "OutOfMemory")), "Failed"),
}


@pytest.mark.parametrize(("manifest", "state"), STATES.values(), ids=STATES.keys())
def test_where_a_job_stands(manifest, state):
    assert overview.job_state(manifest) == state


def test_ended_jobs_come_last():
    jobs = [job(condition("Failed")), job(condition("Running")), job(condition("Running"))]
    assert overview.job_counts(jobs) == [("league", "Running", 2), ("league", "Failed", 1)]


NODE = {
    "metadata": {"name": "tartu"},
    "spec": {"institution": "tartu-uni", "jurisdiction": "EE", "legalControl": ["EE", "US"]},
    "status": {
        "inventory": [
            {"gpuClass": "t4", "total": 6, "allocated": 1},
            {"gpuClass": "l40s", "total": 2},
        ],
        "agentVersion": "0.1.0",
        "assurance": {"level": "L1"},
        "datasets": [
            {
                "name": "scans",
                "jurisdiction": "EE",
                "residency": stands_in("EU", deny=["PT"]),
            }
        ],
        "conditions": [condition("Ready", "False", "NodeUnreachable")],
    },
}


def test_a_node_in_one_line():
    assert overview.node_row(NODE) == (
        "tartu",
        "tartu-uni",
        "EE",
        "EE,US",
        "NodeUnreachable",
        "L1",
        "1/8",
        "0.1.0",
    )


def test_a_node_that_never_reported():
    bare = {"metadata": {"name": "x"}, "spec": {"accepted": "Pending"}}
    assert overview.node_row(bare)[4:] == ("Pending", "L0", "0/0", "")


def test_gpus_by_institution_and_their_share():
    assert list(overview.gpu_rows([NODE])) == [
        ("tartu-uni", "EE", "t4", 6, 1, "75%"),
        ("tartu-uni", "EE", "l40s", 2, 0, "25%"),
    ]


def test_a_pool_in_one_line():
    pool = {"metadata": {"name": "league"}, "status": {"nodes": 3, "gpusTotal": 8, "queued": 2}}
    assert overview.pool_row(pool) == ("league", 3, "0/8", 2, "")


def test_data_sets_say_where_they_may_be_processed():
    assert list(overview.dataset_rows([NODE])) == [("scans", "tartu", "EE", "EU, not PT")]


ENDED = {"node": "tartu", "finishedAt": "x"}


def said(kind, reason, status="True"):
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": "m"}]}


LOGS = {
    "never ran": ({}, "has not run anywhere"),
    "still runs": ({"node": "tartu"}, "when the job has ended"),
    "not exported": (ENDED | said("Succeeded", "Succeeded"), "tartu does not export logs"),
    "not exported of a job that failed": (
        ENDED | said("Failed", "AppFailed"),
        "tartu does not export logs",
    ),
    "of a run that was stopped": (
        ENDED | said("Running", "Cancelled", "False"),
        "tartu sent no last lines of a run that ended as Cancelled",
    ),
    "of a run that was never made": (
        ENDED | said("Failed", "RenderFailed"),
        "tartu sent no last lines of a run that ended as RenderFailed",
    ),
    "exported, and empty": (
        {"node": "tartu", "finishedAt": "x", "logTail": ""},
        "wrote nothing: tartu exports logs",
    ),
    "empty so far": ({"node": "tartu", "logTail": ""}, "when the job has ended"),
}


@pytest.mark.parametrize(("status", "text"), LOGS.values(), ids=LOGS.keys())
def test_why_there_is_no_log(status, text):
    with pytest.raises(Terminal, match=text):
        logs.log_of({"status": status})


def test_a_log_is_shown_as_it_is():
    assert logs.log_of({"status": {"logTail": "a\nb"}}) == "a\nb"


@pytest.mark.parametrize("reason", sorted({*map(str, Reason), *map(str, MemberReason)}))
def test_every_reason_has_a_remedy(reason):
    assert remedies.remedy(reason)


def test_both_tables_of_remedies_are_complete():
    assert set(remedies.REMEDIES) == set(Reason)
    assert set(remedies.MEMBER_REMEDIES) == set(MemberReason)


def test_a_message_cannot_drive_the_terminal(capsys):
    display.show_table("T", ("A",), [("\x1b[31mred\x1b[0m [bold]not[/bold]\x07",)])
    display.say("\x1b]0;title\x07")
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\\x1b[31mred" in shown
    assert "[bold]not[/bold]" in shown


def test_an_empty_table_says_so(capsys):
    display.show_table("Nodes", ("A",), [])
    assert capsys.readouterr().out.strip() == "Nodes: none"


RELEASES = {
    "v1.37.2": (1, 37, 2),
    "v1.30.4+k3s1": (1, 30, 4),
    "": (),
}


@pytest.mark.parametrize(("text", "numbers"), RELEASES.items(), ids=RELEASES.keys())
def test_versions_are_read(text, numbers):
    assert doctor.release(text) == numbers


KUBERAYS = {
    "fine": (KubeRay("1.6.1", "", ""), True, "1.6.1"),
    "missing": (KubeRay(missing="not installed"), False, "not installed"),
    "too old": (KubeRay("1.4.0", "", "is too old"), False, "is too old"),
    "of no version": (KubeRay("", "", ""), True, "cannot be told"),
}


@pytest.mark.parametrize(("found", "good", "text"), KUBERAYS.values(), ids=KUBERAYS.keys())
def test_doctor_says_what_the_member_would(found, good, text):
    finding = doctor.kuberay_finding(found)
    assert finding.good is good
    assert text in finding.detail


class TestKubeconfig:
    def test_the_option_wins(self):
        assert find_kubeconfigs(Path("/a"), {"KUBECONFIG": "/b"}) == (Path("/a"),)

    def test_all_files_that_exist(self, tmp_path):
        one, two = tmp_path / "one", tmp_path / "two"
        one.touch()
        two.touch()
        assert find_kubeconfigs(None, {"KUBECONFIG": f"/no/such:{one}:{two}"}) == (one, two)

    def test_the_home_of_kubectl(self, tmp_path):
        (tmp_path / ".kube").mkdir()
        (tmp_path / ".kube" / "config").touch()
        assert find_kubeconfigs(None, {"HOME": str(tmp_path)}) == (tmp_path / ".kube" / "config",)

    def test_none_means_the_pods_own(self, tmp_path):
        assert find_kubeconfigs(None, {"HOME": str(tmp_path)}) == ()

    def test_a_name_that_leads_nowhere(self):
        with pytest.raises(Terminal, match="which does not exist"):
            find_kubeconfigs(None, {"KUBECONFIG": "/no/such"})


def test_doctor_names_machines_that_are_not_understood():
    conditions = [{"type": "Ready", "status": "True"}]
    node = {
        "metadata": {"name": "m1", "labels": {"kubernetes.io/arch": "amd64"}},
        "status": {"allocatable": {"google.com/tpu": "4"}, "conditions": conditions},
    }
    finding = doctor.machines_finding([node], {})
    assert not finding.good
    assert finding.detail == "m1: google.com/tpu is in no row of the table of accelerators"
    assert doctor.machines_finding([], {}).good


def test_a_doctor_names_cards_that_only_a_claim_gets():
    node = {
        "metadata": {"name": "m1", "labels": {"kubernetes.io/arch": "amd64"}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    offered = {"m1": (Devices("gpu.nvidia.com", "nvidia-h100", 8),)}

    finding = doctor.machines_finding([node], offered)

    assert not finding.good
    assert "8 nvidia-h100 (gpu.nvidia.com) are offered by claim only" in finding.detail
    assert doctor.machines_finding([node], {}).good


def test_doctor_wants_to_know_the_side():
    result = CliRunner().invoke(doctor.doctor, [])
    assert result.exit_code == 2
    assert "--side" in result.output
