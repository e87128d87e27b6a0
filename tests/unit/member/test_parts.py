"""The small parts of the agent: queue, contact, book, law, probes' reading of what they find."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest

from hansa.adapters.kube.config import Connection
from hansa.api.workgrant import WorkGrantSpec
from hansa.errors import NotFound, Retryable, Terminal
from hansa.member.cluster import probes
from hansa.member.cluster.policy import read_law
from hansa.member.hub_link import certificates, identity
from hansa.member.hub_link.join import FolderKeeper, enrol, new_identity
from hansa.member.judge import pause_after
from hansa.member.state.run_index import Entry, RunIndex
from hansa.process.retry_queue import KeyedQueue
from tests.unit.grants.grant_kit import grant


@dataclass
class Hands:
    """A clock moved by hand."""

    wall: float = 1000.0
    steady: float = 0.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady


async def test_a_key_is_worked_on_by_one_and_never_forgotten():
    queue = KeyedQueue(first_retry_s=0.001)
    queue.put("a")
    queue.put("a")
    assert len(queue) == 1
    assert await queue.get() == "a"
    queue.put("a")
    queue.done("a")
    assert await queue.get() == "a"
    queue.failed("a")
    assert queue.failures("a") == 1
    assert await asyncio.wait_for(queue.get(), 5) == "a"
    queue.done("a")
    assert (queue.failures("a"), len(queue)) == (0, 0)


PAUSES = {
    "one grant": (1, 0.0, False, 0.02),
    "a rush": (1000, 3.0, False, 0.25),
    "a rush that does not end": (1000, 9.9, False, 0.1),
    "enough": (1000, 10.5, False, 0.0),
    "others wait already": (1, 0.0, True, 0.0),
    "nothing was left to judge": (0, 0.0, False, 0.0),
}


@pytest.mark.parametrize("case", PAUSES.values(), ids=PAUSES.keys())
def test_accepted_work_waits_for_the_end_of_a_rush_but_not_for_ever(case):
    judged, spent_s, backlog, expected = case
    assert pause_after(judged, spent_s, backlog=backlog) == pytest.approx(expected)


def entry(name_epoch: int = 3, gpu_class: str = "nvidia-l40s") -> Entry:
    spec = WorkGrantSpec.model_validate(grant())
    return Entry(spec.model_copy(update={"epoch": name_epoch}), {}, "d", gpu_class)


def test_the_book_counts_what_is_held():
    book, run = RunIndex(), entry()
    book.put(run, holding=True)
    book.put(run, holding=True)
    assert (book.held, book.running_jobs) == ({"nvidia-l40s": 2}, 1)
    book.choose_class(run.name, "nvidia-a100")
    assert book.held == {"nvidia-a100": 2}
    book.choose_class(run.name, "nvidia-a100")
    book.put(entry(4), holding=False)
    assert book.running_jobs == 1
    book.let_go(run.name)
    assert (book.held, book.running_jobs) == ({}, 0)
    book.drop(run.name)
    assert book.names() == [entry(4).name]
    assert run.title == "hospital/study"


def policy(**spec):
    good = {"jurisdiction": "EE", "legalControl": ["EE"]}
    return {"metadata": {"name": "local", "generation": 2, "uid": "u"}, "spec": good | spec}


LAWS = {
    "good": (policy(), ""),
    "stopped": (policy(switch="Stopped"), ""),
    "none": (None, "no MemberPolicy"),
    "garbage": (policy(switch="Maybe"), "spec.switch"),
    "no such country": (policy(jurisdiction="ZZ"), "ZZ is no ISO 3166 code"),
}


@pytest.mark.parametrize("case", LAWS.values(), ids=LAWS.keys())
def test_law(case):
    body, problem = case
    law = read_law(body)
    assert problem in law.problem
    assert (law.spec is None) is bool(problem)
    assert law.stopped is (body == policy(switch="Stopped"))


class Shelf:
    """A cluster that answers from a table: path → object or error."""

    def __init__(self, **answers):
        self.answers = answers

    async def get(self, path):
        found = self.answers.get(path, NotFound(path))
        if isinstance(found, Exception):
            raise found
        return found

    async def list(self, path, **_):
        return (await self.get(path))["page"]


@dataclass
class Items:
    items: list


def kuberay(image="kuberay/operator:v1.6.1", *, auth=True, labels=None):
    field = {"authOptions": {"type": "object"}} if auth else {}
    schema = {"properties": {"spec": {"properties": {"rayClusterSpec": {"properties": field}}}}}
    version = {"name": "v1", "schema": {"openAPIV3Schema": schema}}
    pod = {"template": {"spec": {"containers": [{"image": image}]}}}
    deployment = {"metadata": {"labels": labels or {}}, "spec": pod}
    return Shelf(
        **{
            probes.CRD: {"spec": {"versions": [{"name": "v1alpha1"}, version]}},
            probes.DEPLOYMENTS: {"page": Items([deployment])},
        }
    )


KUBERAYS = {
    "good": (kuberay(), "1.6.1", "", ""),
    "behind a port": (kuberay("reg:5000/op:v1.6.1@sha256:0"), "1.6.1", "", ""),
    "by label": (kuberay("op@sha256:0", labels={probes.VERSION_LABEL: "1.6.0"}), "1.6.0", "", ""),
    "untold": (kuberay("op@sha256:0"), "", "", ""),
    "too old": (kuberay("op:v1.4.0"), "1.4.0", "", "too old"),
    "no token": (kuberay(auth=False), "1.6.1", "", "no token authentication"),
    "missing": (Shelf(), "", "not installed", ""),
    "silent": (Shelf(**{probes.CRD: Retryable("x")}), "", "cannot be looked for", ""),
    "no right to list": (
        Shelf(**(kuberay().answers | {probes.DEPLOYMENTS: Terminal("403")})),
        "",
        "",
        "",
    ),
}


@pytest.mark.parametrize("case", KUBERAYS.values(), ids=KUBERAYS.keys())
async def test_kuberay(case):
    cluster, version, missing, too_old = case
    found = await probes.find_kuberay(cluster, "1.5.1")
    assert found.version == version
    assert missing in found.missing
    assert too_old in found.too_old
    assert bool(found.trouble) is bool(missing or too_old)


class Signer:
    """A hub that signs, denies or is away, by turns."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def create(self, path, body):
        self.asked.append((path, body))
        return body

    async def get(self, _):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"status": answer}


HUB = Connection(server="https://hub.example")
SIGNED = {"certificate": "Q0VSVA=="}


async def test_a_join_waits_through_trouble_and_keeps_its_keys(tmp_path, capsys):
    hub = Signer({}, Retryable("away"), SIGNED)
    keeper = FolderKeeper(tmp_path / "id")
    fresh = new_identity("tartu", HUB)
    joined = await enrol(hub, keeper, fresh, poll_s=0)
    assert joined.certificate_pem == "CERT"
    assert await keeper.load() == joined
    assert (tmp_path / "id" / identity.KEY).stat().st_mode & 0o777 == 0o600
    pair = certificates.load_key(fresh.key_pem)
    assert pair.fingerprint in capsys.readouterr().out
    again = await enrol(Signer(SIGNED), keeper, new_identity("tartu", HUB), poll_s=0)
    assert again.key_pem == fresh.key_pem


async def test_a_denied_join_says_so(tmp_path):
    hub = Signer({"conditions": [{"type": "Denied", "message": "wrong key"}]})
    with pytest.raises(Terminal, match="wrong key"):
        await enrol(hub, FolderKeeper(tmp_path), new_identity("tartu", HUB), poll_s=0)


async def test_an_identity_is_not_given_to_another_node(tmp_path):
    keeper = FolderKeeper(tmp_path)
    await keeper.save(new_identity("riga", HUB))
    with pytest.raises(Terminal, match="riga"):
        await enrol(Signer(), keeper, new_identity("tartu", HUB), poll_s=0)


def test_what_is_missing_is_named():
    held = replace(new_identity("tartu", HUB), key_pem="").values()
    with pytest.raises(Terminal, match=r"tls\.key"):
        identity.from_values(held)
    with pytest.raises(Terminal, match="not a private key"):
        certificates.load_key("x")
