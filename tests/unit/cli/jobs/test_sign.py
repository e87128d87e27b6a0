"""``hansa sign``: what it prints is what the member's judge accepts."""

from __future__ import annotations

import pytest
import yaml
from click.testing import CliRunner

from hansa.cli.main import cli
from hansa.errors import Terminal
from hansa.grants.checks import judge
from tests.residency_kit import EVERYWHERE
from tests.unit.grants.grant_kit import OWNER, facts, grant, job, policy

DATASET = {
    "name": "cohort",
    "jurisdiction": "EE",
    "claim": "cohort",
    "owners": ["clinic"],
    "residency": EVERYWHERE,
}
MANIFEST = {"apiVersion": "hansa.dev/v1alpha1", "kind": "AIJob", "metadata": {"name": "a"}}


def run(tmp_path, body, *options, institution="hospital"):
    key = tmp_path / "owner.pem"
    key.write_bytes(OWNER.private_pem())
    words = ["sign", "-", "--key", str(key), "--institution", institution, *options]
    text = body if isinstance(body, str) else yaml.safe_dump(MANIFEST | {"spec": body})
    return CliRunner().invoke(cli, words, input=text)


def test_what_is_signed_runs_and_nothing_else_does(tmp_path):
    law = policy(datasets=[DATASET])
    done = run(tmp_path, job(), "--days", "400", "--purpose", "study 12")
    assert done.exit_code == 0, done.output
    signed = yaml.safe_load(done.stdout)["spec"]

    assert judge(grant(signed), law, facts()).accepted
    assert not judge(grant(job()), law, facts()).accepted
    assert not judge(
        grant(signed | {"image": "hansa.local/x@sha256:" + "1" * 64}), law, facts()
    ).accepted
    assert "study 12" in done.stderr
    assert "cohort" in done.stderr


def test_signing_again_replaces_the_owners_own_signature(tmp_path):
    once = run(tmp_path, job()).stdout
    twice = yaml.safe_load(run(tmp_path, once, "--runs", "3").stdout)["spec"]
    (only,) = twice["authorizations"]
    assert only["maxRuns"] == 3


WRONG = {
    "no YAML": ("a: [", "no YAML"),
    "another kind": ("kind: Job", "holds no AIJob"),
    "a misspelt field": ({**job(), "residancy": {}}, "spec.residancy"),
}


@pytest.mark.parametrize(("body", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_signed_is_named(tmp_path, body, words):
    done = run(tmp_path, body)
    assert isinstance(done.exception, Terminal)
    assert words in str(done.exception)


def test_a_term_that_is_none_is_named(tmp_path):
    done = run(tmp_path, job(), "--runs", "0")
    assert "maxRuns" in str(done.exception)
