"""``hansa member witness`` in the agent's pod: its keys for a policy, and how its memory begins."""

from __future__ import annotations

import base64
import os

import pytest
from click.testing import CliRunner

from hansa.adapters.clock import SystemClock
from hansa.adapters.mldsa import MlDsaSigner
from hansa.adapters.sealing import IdentityKey
from hansa.cli.access import Access
from hansa.cli.main import cli
from hansa.errors import Conflict, Terminal
from hansa.member.hub_link.identity import HubIdentity
from hansa.member.witness.memory import NAME
from hansa.translog.note import Note
from hansa.translog.policy import Policy
from hansa.translog.witness.decision import Charge, Cosign, decide
from hansa.translog.witness.request import WitnessRequest
from tests.unit.grants.grant_kit import NODE
from tests.unit.member.witness.map_server import Server
from tests.unit.translog.small_log import (
    NAMES,
    ORIGIN,
    SetClock,
    ed25519,
    log_signer,
    policy,
    published,
)

SECRET = "/api/v1/namespaces/here/secrets/hansa-identity"


class Pod(Server):
    """ConfigMaps and the identity, as the agent's pod reaches them."""

    async def get(self, path):
        if path != SECRET:
            return await super().get(path)
        held = HubIdentity(
            "tartu",
            "https://hub",
            "",
            "pending",
            IdentityKey.generate().private_pem(),
            NODE.private_pem().decode(),
        )
        return {
            "data": {
                name: base64.b64encode(text.encode()).decode()
                for name, text in held.values().items()
            }
        }


@pytest.fixture
def pod(monkeypatch, tmp_path):
    server = Pod()
    key = tmp_path / "ml-dsa-44.pem"
    key.write_bytes(MlDsaSigner.generate().private_pem())
    settings = {
        "NODE": "tartu",
        "NAMESPACE": "here",
        "WITNESS__NAME": "ut.ee",
        "WITNESS__LOG": ORIGIN,
    }
    settings["WITNESS__ML_DSA_KEY_FILE"] = str(key)
    for name in [name for name in os.environ if name.startswith("HANSA_MEMBER_")]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(f"HANSA_MEMBER_{name}", value)

    async def ask(_, question):
        return await question(server)

    monkeypatch.setattr(Access, "_ask", ask)
    return server


def run(*args, stdin=b""):
    found = CliRunner().invoke(cli, ["member", "witness", *args], input=stdin)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


@pytest.mark.usefixtures("pod")
def test_its_keys_are_lines_of_a_policy():
    lines = run("key").stdout
    rules = Policy.parse(
        f"log {log_signer().key}\n{lines}group both all ut.ee ut.ee/ml-dsa-44\nquorum both\n".encode()
    )
    assert [len(key.public) for key in rules.witnesses.values()] == [32, 1312]


def test_an_enrolled_one_begins_once(pod):
    log = published(5)
    run("enrol", "--published", "-", stdin=log.head.encode())
    (kept,) = pod.maps[f"/api/v1/namespaces/here/configmaps/{NAME}"]["data"].values()
    memory = Note.parse(kept.encode())
    keys = tuple(
        Policy.parse(
            f"log {log_signer().key}\n{run('key').stdout}quorum none\n".encode()
        ).witnesses.values()
    )
    request = WitnessRequest.parse(log.request(0).encode())
    assert isinstance(
        decide(request, memory, Charge((log_signer().key,), keys), 1_900_000_000), Cosign
    )
    with pytest.raises(Conflict, match="remembered already"):
        run("enrol", "--published", "-", stdin=log.head.encode())


def test_one_that_cosigned_before_is_restored_and_not_enrolled(pod, tmp_path):
    run("enrol", "--published", "-", stdin=published(5).head.encode())
    ((path, kept),) = pod.maps.items()
    (text,) = kept["data"].values()
    rules = tmp_path / "policy"
    rules.write_bytes(text_of_policy())
    log = published(
        5,
        policy("group others 2 tartu lyon vilnius\nquorum others"),
        [ed25519(n) for n in NAMES],
        now(),
    )
    own = [line for line in Note.parse(text.encode()).signatures if line.name == "ut.ee"]
    del pod.maps[path]
    forged = Note(Note.parse(text.encode()).text, tuple(own))
    with pytest.raises(Terminal, match="has cosigned"):
        run("enrol", "--published", "-", stdin=forged.encode())
    run("restore", "--published", "-", "--policy", str(rules), stdin=log.head.encode())
    (text,) = pod.maps[path]["data"].values()
    assert Note.parse(text.encode()).text == log.head.text


def now():
    return SetClock(SystemClock().now())


def text_of_policy():
    lines = [f"log {log_signer().key}", *(f"witness {name} {ed25519(name).key}" for name in NAMES)]
    return "\n".join([*lines, "group others 2 tartu lyon vilnius", "quorum others", ""]).encode()


@pytest.mark.usefixtures("pod")
def test_a_member_that_is_no_witness_is_told_how_to_be_one(monkeypatch):
    monkeypatch.delenv("HANSA_MEMBER_WITNESS__NAME")
    with pytest.raises(Terminal, match=r"settings\.witness\.name"):
        run("key")


@pytest.mark.usefixtures("pod")
def test_a_key_that_is_none_is_named(monkeypatch, tmp_path):
    (tmp_path / "other.pem").write_bytes(NODE.private_pem())
    monkeypatch.setenv("HANSA_MEMBER_WITNESS__ML_DSA_KEY_FILE", str(tmp_path / "other.pem"))
    with pytest.raises(Terminal, match=r"witness\.mlDsaKeyFile: .* holds no ML-DSA-44 key"):
        run("key")
