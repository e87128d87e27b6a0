"""The ledger's part of the hub's chart, by what it means."""

from __future__ import annotations

import pytest

from tests.programs.conftest import Render

LEDGERS = {
    "a volume of its own": ({}, None),
    "a server": ({"database": {"secretName": "books"}}, "books"),
}


@pytest.mark.parametrize("case", LEDGERS)
def test_the_ledger_has_one_writer_and_its_books_outlive_it(render: Render, case: str):
    changes, secret = LEDGERS[case]
    documents = render("hansa-hub", ledger=changes)
    [deployment] = [
        d
        for d in documents
        if d["kind"] == "Deployment" and d["metadata"]["name"] == "hansa-ledger"
    ]
    claims = [d for d in documents if d["kind"] == "PersistentVolumeClaim"]
    [box] = deployment["spec"]["template"]["spec"]["containers"]
    urls = [env for env in box["env"] if env["name"] == "HANSA_LEDGER_DATABASE__URL"]
    policies = {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "NetworkPolicy"}
    ports = [port["port"] for rule in policies["hansa-ledger"]["egress"] for port in rule["ports"]]

    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    # With a server for the books, too: the log is there.
    kept = [{"helm.sh/resource-policy": "keep"}]
    assert [claim["metadata"]["annotations"] for claim in claims] == kept
    assert [env["valueFrom"]["secretKeyRef"]["name"] for env in urls] == (
        [secret] if secret else []
    )
    assert (5432 in ports) == bool(secret)


def test_the_ledger_reads_the_league_and_writes_what_was_spent_and_taken(render: Render):
    [role] = [
        d
        for d in render("hansa-hub")
        if d["kind"] == "ClusterRole" and d["metadata"]["name"] == "hansa-ledger"
    ]
    held = {tuple(rule["resources"]): set(rule["verbs"]) for rule in role["rules"]}
    assert held == {
        ("computepools", "projects"): {"get", "list"},
        ("sovereignnodes", "workgrants"): {"get", "list", "watch"},
        ("projects/status", "sovereignnodes/status", "aijobs/status"): {"get", "patch"},
        ("aijobs",): {"get", "create", "delete"},
        ("events",): {"create"},
    }


def test_without_a_ledger_only_what_confines_its_account_is_rendered(render: Render):
    """An account that was left behind may do no more than before; `hansa doctor` asks for all policies."""
    documents = render("hansa-hub", ledger={"enabled": False})
    kinds = {d["kind"] for d in documents if "hansa-ledger" in d["metadata"]["name"]}
    assert kinds == {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
