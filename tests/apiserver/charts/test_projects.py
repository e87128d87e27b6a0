"""Who may charge a job to a project, on a real API server."""

from __future__ import annotations

import json

import pytest

from e2e.testbed.cluster.controlplane import KubectlError
from e2e.testbed.host.clock import wait_until
from tests.apiserver.charts.charted import Charted, bare, thing

pytestmark = pytest.mark.apiserver


def test_only_members_charge_jobs_to_a_project(shared_hub: Charted):
    shared_hub.apply(thing("Namespace", "lab", labels={"hansa.dev/institution": "lab"}))
    for name, members in (("ours", ["ana", "group-b"]), ("open", [])):
        shared_hub.apply(
            bare("Project", "lab", members=members)
            | {"metadata": {"namespace": "lab", "name": name}}
        )
    role = ("create", "clusterrolebinding", "charging", "--clusterrole=hansa-aijob-edit")
    shared_hub.kubectl(*role, "--group=charging")

    def charge(project: str, user: str, *groups: str) -> str:
        acting = [part for group in ("charging", *groups) for part in ("--as-group", group)]
        text = json.dumps(bare("AIJob", "lab", project=project))
        return shared_hub.kubectl(
            *acting, "create", "--dry-run=server", "-f", "-", user=user, stdin=text
        )

    def is_refused() -> bool:
        try:
            charge("ours", "eve")
        except KubectlError as error:
            return "eve is no member of project ours" in str(error)
        return False

    # The server hears of the role and of the projects a moment after they are made.
    wait_until(is_refused, what="eve to be refused as no member of project ours")
    for project, user, groups in (
        ("ours", "ana", ()),
        ("ours", "eve", ("group-b",)),
        ("open", "eve", ()),
    ):
        assert "created" in charge(project, user, *groups)
