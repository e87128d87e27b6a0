"""A ledger that was taken over, on a real API server: of a node it says how far it took receipts, no more."""

from __future__ import annotations

import json

import pytest

from e2e.testbed.cluster.controlplane import KubectlError
from e2e.testbed.host.clock import wait_until
from hansa.api.meta import node_user
from tests.apiserver.charts.charted import SYSTEM, Charted, bare
from tests.apiserver.crds.bases import BASES, LATE

pytestmark = pytest.mark.apiserver

LEDGER = f"system:serviceaccount:{SYSTEM}:hansa-ledger"
STATUS = BASES["SovereignNode"]["status"]


@pytest.fixture(scope="module")
def hub(shared_hub: Charted) -> Charted:
    node = bare("SovereignNode")
    node["metadata"]["name"] = "tartu"
    shared_hub.apply(node)
    _patch(shared_hub, STATUS, user="")
    return shared_hub


def _patch(
    hub: Charted, status: dict, *, user: str = LEDGER, what: str = "sovereignnode/tartu"
) -> str:
    text = json.dumps({"status": status})
    args = ("patch", what, "-n", "hospital", "--subresource=status", "--type=merge", "-p", text)
    return hub.kubectl(*args, user=user)


def _status(hub: Charted, what: str) -> dict:
    found = json.loads(hub.kubectl("get", what, "-n", "hospital", "-o", "json"))
    return dict(found["status"])


def test_it_says_how_far_it_took_receipts(hub: Charted):
    for sequence in (2, 3):
        _patch(hub, {"receipts": {"taken": STATUS["receipts"]["taken"] | {"sequence": sequence}}})
    held = json.loads(hub.kubectl("get", "sovereignnode/tartu", "-o", "json"))["status"]

    assert held["receipts"]["taken"]["sequence"] == 3
    assert held["receipts"]["outbox"] == STATUS["receipts"]["outbox"]


def test_it_hands_out_proofs_and_what_is_disputed(hub: Charted):
    proved = STATUS["receipts"]["proved"] | {"sequence": 2}
    row = {**STATUS["receipts"]["disputed"][0], "field": "node"}
    _patch(hub, {"receipts": {"proved": proved, "disputed": [row]}})
    held = json.loads(hub.kubectl("get", "sovereignnode/tartu", "-o", "json"))["status"]["receipts"]
    assert (held["proved"], held["disputed"]) == (proved, [row])
    assert held["outbox"] == STATUS["receipts"]["outbox"]


OTHERS = {
    "conditions": {"conditions": []},
    "what a member declares": {"declaredJurisdiction": "LV"},
    "its heartbeat": {"lastHeartbeatTime": LATE},
    "a field taken away": {"switch": None},
    "receipts on their way": {"receipts": {"outbox": []}},
    "how many wait": {"receipts": {"waiting": 7}},
    "all that is said of receipts": {"receipts": None},
    "an auditor's commitment": {"audits": {"commitment": {"epoch": 9}}},
    "an auditor's reveal": {"audits": {"reveal": None}},
    "all that is said of audits": {"audits": None},
    "what a witness cosigned": {"witness": {"cosigned": "another"}},
    "why it does not": {"witness": {"refused": "it will not"}},
    "all that a witness says": {"witness": None},
}


@pytest.mark.parametrize("status", OTHERS.values(), ids=OTHERS)
def test_and_nothing_else_of_a_node(hub: Charted, status: dict):
    with pytest.raises(KubectlError, match=r"the ledger writes status\.receipts\.taken"):
        _patch(hub, status)


def test_nor_its_spec(hub: Charted):
    text = json.dumps({"spec": {"accepted": "Accepted"}})
    with pytest.raises(KubectlError, match="is forbidden"):
        hub.kubectl("patch", "sovereignnode/tartu", "--type=merge", "-p", text, user=LEDGER)


def test_it_says_what_a_node_has_shown_and_calls_auditors(hub: Charted):
    _patch(hub, {"assurance": STATUS["assurance"] | {"level": "L2"}})
    _patch(hub, {"audits": {"call": STATUS["audits"]["call"] | {"epoch": 5}}})
    _patch(hub, {"witness": {"request": "old 7"}})
    held = _status(hub, "sovereignnode/tartu")
    assert (held["assurance"]["level"], held["audits"]["call"]["epoch"]) == ("L2", 5)
    assert held["witness"] == STATUS["witness"] | {"request": "old 7"}
    assert held["audits"]["commitment"] == STATUS["audits"]["commitment"]


LIES = {
    "its own level": {"assurance": STATUS["assurance"] | {"level": "L4"}},
    "no level": {"assurance": None},
    "another call": {"audits": {"call": None}},
    "what it is to cosign": {"witness": {"request": "old 0"}},
}


@pytest.mark.parametrize("status", LIES.values(), ids=LIES)
def test_a_node_does_not_write_what_the_ledger_says_of_it(hub: Charted, status: dict):
    with pytest.raises(KubectlError, match="are the ledger's words"):
        _patch(hub, status, user=node_user("tartu"))


def test_a_node_says_what_it_commits_to(hub: Charted):
    said = {"audits": {"commitment": STATUS["audits"]["commitment"] | {"epoch": 12}}}
    _patch(hub, said, user=node_user("tartu"))
    assert _status(hub, "sovereignnode/tartu")["audits"]["commitment"]["epoch"] == 12


def test_a_witness_says_what_it_cosigned(hub: Charted):
    _patch(hub, {"witness": {"cosigned": "a note"}}, user=node_user("tartu"))
    assert _status(hub, "sovereignnode/tartu")["witness"]["cosigned"] == "a note"


AUDIT = {"of": "study", "epoch": 1, "node": "tartu"}


def _job(name: str, **spec: object) -> dict:
    job = bare("AIJob", "hospital", **spec)
    job["metadata"]["name"] = name
    return job


def test_it_makes_and_deletes_audits_and_no_other_jobs(hub: Charted):
    hub.create(_job("audit-1", audit=AUDIT), user=LEDGER, dry=False)
    with pytest.raises(KubectlError, match="makes and deletes audits, and no other jobs"):
        hub.create(_job("audit-2"), user=LEDGER, dry=False)
    hub.create(_job("study"), dry=False)
    with pytest.raises(KubectlError, match="makes and deletes audits, and no other jobs"):
        hub.kubectl("delete", "aijob/study", "-n", "hospital", user=LEDGER)
    hub.kubectl("delete", "aijob/audit-1", "-n", "hospital", user=LEDGER)


PROBE = {"node": "tartu"}


def test_it_sends_probes_from_the_namespace_of_its_settings_alone(hub: Charted):
    with pytest.raises(KubectlError, match="sends capacity probes from the namespace in its"):
        hub.create(_job("probe-1", audit=PROBE), user=LEDGER)
    hub.upgrade(ledger={"settings": {"probes": {"namespace": "hospital"}}})
    try:
        wait_until(lambda: _is_let_in(hub), what="the policy with the namespace")
        with pytest.raises(KubectlError, match="made by the ledger"):
            hub.create(_job("probe-1", audit=PROBE))
    finally:
        hub.upgrade()


def _is_let_in(hub: Charted) -> bool:
    try:
        hub.create(_job("probe-1", audit=PROBE), user=LEDGER)
    except KubectlError:
        return False
    return True


def test_nobody_else_makes_an_audit(hub: Charted):
    with pytest.raises(KubectlError, match="made by the ledger"):
        hub.create(_job("mine", audit=AUDIT), dry=False)
    hub.create(_job("plain"), dry=False)
    text = json.dumps({"spec": {"audit": AUDIT}})
    with pytest.raises(KubectlError, match="made by the ledger"):
        hub.kubectl("patch", "aijob/plain", "-n", "hospital", "--type=merge", "-p", text)


def test_it_tells_a_job_what_is_known_of_its_run_and_nothing_else(hub: Charted):
    hub.create(_job("told"), dry=False)
    _patch(hub, BASES["AIJob"]["status"], user="", what="aijob/told")
    said = BASES["AIJob"]["status"]["assurance"] | {"audit": "Passed"}
    _patch(hub, {"assurance": said}, what="aijob/told")
    assert _status(hub, "aijob/told")["assurance"]["audit"] == "Passed"
    for status in ({"result": "forged"}, {"conditions": []}, {"node": None}):
        with pytest.raises(KubectlError, match=r"status\.assurance of a job, and nothing else"):
            _patch(hub, status, what="aijob/told")
