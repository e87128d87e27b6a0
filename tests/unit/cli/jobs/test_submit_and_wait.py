"""Jobs are checked before they are sent, waited for with an exit code, and shown in their order."""

from __future__ import annotations

import asyncio
import copy
import json

import pytest
import yaml
from click.testing import CliRunner

from hansa.cli.complete import completed
from hansa.cli.display import Section, show
from hansa.cli.jobs import queue, submit, wait
from hansa.cli.main import COMMANDS, cli
from hansa.errors import NotFound, Retryable, Terminal
from tests.unit.cli.small_league import job


def condition(kind, status="True", **more):
    return {"type": kind, "status": status, "reason": kind, **more}


@pytest.fixture
def written(tmp_path):
    def write(**spec):
        manifest = copy.deepcopy(job("study"))
        manifest["spec"] |= spec
        path = tmp_path / "job.yaml"
        path.write_text(yaml.safe_dump(manifest))
        return str(path)

    return write


MISTAKES = {
    "a place": (
        {"residency": {"location": {"allow": ["UK"]}, "legalControl": {"allow": ["World"]}}},
        "there is no place UK; write GB",
    ),
    "a field": ({"residancy": {}}, "spec.residancy"),
    "a quantity": ({"ray": {"version": "2.60.0", "workers": {"cpu": 0.5}}}, "spec.ray.workers.cpu"),
}


@pytest.mark.parametrize(("change", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_before_anything_is_sent(written, change, words):
    with pytest.raises(Terminal, match="job study") as caught:
        list(submit.read_jobs(written(**change)))
    assert words in str(caught.value)


def test_what_is_no_job_is_not_submitted(tmp_path):
    path = tmp_path / "pod.yaml"
    path.write_text("kind: Pod")
    with pytest.raises(Terminal, match="holds a Pod; only AIJobs"):
        list(submit.read_jobs(str(path)))


class Server:
    """Shows a job as it becomes, a look at a time."""

    namespace = "clinic"

    def __init__(self, *answers):
        self.answers = list(answers)
        self.applied = []

    async def apply(self, path, body, *, manager):
        self.applied.append((path, body["metadata"]["name"], manager))
        return self.answers[0]

    async def merge(self, path, _):
        self.merged = path
        return self.answers[0]

    async def get(self, _):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(wait, "LOOK_S", 0.0)


WAITING, RUNNING = job("study"), job("study", node="tartu", conditions=[condition("Running")])
FAILED = job("study", conditions=[condition("Failed", message="memory exhausted")])
DONE = job("study", conditions=[condition("Succeeded"), condition("Running", "False")])


@pytest.mark.parametrize("stage", ["running", "ended"])
async def test_what_is_waited_for_comes(stage):
    server = Server(WAITING, Retryable("gone for a moment"), RUNNING, DONE)
    found = await wait.wait_for(server, "/path", stage, 30.0)
    assert found is (RUNNING if stage == "running" else DONE)


async def test_a_job_that_fails_is_not_waited_for():
    found = await wait.wait_for(Server(WAITING, FAILED), "/path", "running", 30.0)
    ending = wait.ending(found)
    assert (ending.is_good, ending.words) == (False, "study: Failed: memory exhausted")


async def test_a_server_that_never_answered_is_an_error():
    with pytest.raises(Retryable):
        await wait.wait_for(Server(Retryable("cannot connect")), "/path", "ended", 0.0)


async def test_the_time_may_be_over():
    assert await wait.wait_for(Server(WAITING), "/path", "placed", 0.01) is None


async def test_a_job_that_is_gone_ends_the_waiting():
    with pytest.raises(NotFound):
        await wait.wait_for(Server(WAITING, NotFound("no")), "/path", "ended", 0.0)


EXITS = {"well": (DONE, 0), "badly": (FAILED, 1), "never": (WAITING, 4)}


@pytest.mark.parametrize(("last", "code"), EXITS.values(), ids=EXITS)
def test_a_script_learns_how_it_ended(monkeypatch, written, last, code):
    server = Server(last)
    monkeypatch.setattr(
        "hansa.cli.access.Access.ask", lambda _, question: asyncio.run(question(server))
    )
    arguments = ["submit", written(), "--wait", "--timeout", "0.01"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == code, result.output
    path = "/apis/hansa.dev/v1alpha1/namespaces/clinic/aijobs/study"
    assert server.applied == [(path, "study", "kubectl-hansa")]
    assert CliRunner().invoke(cli, ["wait", "study", "--timeout", "0.01"]).exit_code == code


def test_several_jobs_have_one_time_together(monkeypatch, tmp_path):
    """A script that gives them a minute is not kept for a minute each."""
    waits = []

    async def later(_, path, stage, seconds):
        waits.append((path.rpartition("/")[2], stage))
        now.append(now[-1] + 6.0)
        assert 0 < seconds <= 10.0 - now[-2] or seconds == submit.LEAST_S
        return DONE

    now = [0.0]
    monkeypatch.setattr(submit, "wait_for", later)
    monkeypatch.setattr(submit.SystemClock, "monotonic", lambda _: now[-1])
    monkeypatch.setattr(
        "hansa.cli.access.Access.ask", lambda _, question: asyncio.run(question(Server(DONE)))
    )
    path = tmp_path / "jobs.yaml"
    path.write_text(yaml.safe_dump_all([job(name) for name in "abc"]))
    result = CliRunner().invoke(cli, ["submit", str(path), "--wait", "--timeout", "10"])
    assert result.exit_code == 0, result.output
    assert waits == [(name, "ended") for name in "abc"]


@pytest.fixture
def asked(monkeypatch):
    """Runs a command against a server that shows one job."""

    def ask(server, *arguments):
        monkeypatch.setattr(
            "hansa.cli.access.Access.ask", lambda _, question: asyncio.run(question(server))
        )
        return CliRunner().invoke(cli, [*arguments])

    return ask


@pytest.mark.parametrize(("last", "code"), EXITS.values(), ids=EXITS)
@pytest.mark.parametrize("command", ["submit", "wait"])
def test_a_program_reads_how_it_ended(asked, written, command, last, code):
    arguments = [written(), "--wait"] if command == "submit" else ["study"]
    result = asked(Server(last), command, *arguments, "--timeout", "0.01", "-o", "json")

    assert result.exit_code == code
    said = json.loads(result.stdout) if result.stdout else {}
    rows = [row["condition"] for row in said.get("jobs", ())]
    assert rows == ([] if code == wait.EXIT_TIMED_OUT else ["Failed" if code else "Succeeded"])
    if command == "submit":
        row = {"job": "clinic/study", "pool": "league", "hadEnded": last is not WAITING}
        assert said["submitted"] == [row]


TOLD = {
    "a job that is submitted anew": ("submit", DONE, "does not run anew"),
    "a job that had ended already": ("cancel", DONE, "had ended already: study: Succeeded"),
    "a job that waits": ("cancel", WAITING, "is suspended"),
}


@pytest.mark.parametrize(("command", "found", "words"), TOLD.values(), ids=TOLD)
def test_what_a_command_did_is_told(asked, written, command, found, words):
    argument = written() if command == "submit" else "study"
    result = asked(Server(found), command, argument)

    assert result.exit_code == 0, result.output
    assert words in result.output
    assert ("anew" in result.output) is (words == "does not run anew")


NAMES = {
    "as the queue shows it": (["lab/study"], "/namespaces/lab/aijobs/study"),
    "in the context's namespace": (["study"], "/namespaces/clinic/aijobs/study"),
    "in another": (["study", "-n", "lab"], "/namespaces/lab/aijobs/study"),
    "said twice": (["lab/study", "-n", "lab"], "/namespaces/lab/aijobs/study"),
}


@pytest.mark.parametrize(("arguments", "path"), NAMES.values(), ids=NAMES)
def test_a_job_is_found_by_its_name(asked, arguments, path):
    server = Server(WAITING)
    assert asked(server, "cancel", *arguments).exit_code == 0
    assert server.merged.endswith(path)


BAD = {
    "another namespace": ["cancel", "lab/study", "-n", "clinic"],
    "a part of a path": ["cancel", "../study"],
    "a subresource": ["cancel", "study/status/x"],
    "a query": ["wait", "study?dryRun=All"],
    "nothing": ["logs", ""],
    "capitals": ["explain", "Study"],
    "a namespace that is none": ["cancel", "study", "-n", "a/b"],
    "a time before now": ["wait", "study", "--timeout", "-1"],
    "a time that nobody keeps": ["submit", "FILE", "--timeout", "5"],
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD)
def test_what_cannot_be_meant_is_a_usage_error(asked, written, arguments):
    server = Server(DONE)
    result = asked(server, *(written() if word == "FILE" else word for word in arguments))

    assert result.exit_code == 2, result.output
    assert not server.applied


@pytest.mark.parametrize("metadata", [["a"], {"name": 7}, None])
def test_a_job_without_a_name_is_told(tmp_path, metadata):
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(job("study") | {"metadata": metadata}))
    with pytest.raises(Terminal, match=r"metadata\.name"):
        list(submit.read_jobs(str(path)))


def test_the_queue_is_shown_in_the_order_in_which_it_is_served():
    placed = condition("Placed", "False", reason="WaitingForCapacity")
    jobs = [
        job("third", spec={"pool": "b"}, queuePosition=0, conditions=[placed]),
        job("new", spec={"pool": "a"}),
        job("second", spec={"pool": "a"}, queuePosition=1, conditions=[placed]),
        job("first", spec={"pool": "a"}, queuePosition=0, conditions=[placed]),
        job("runs", spec={"pool": "a"}, conditions=[condition("Running")]),
        job("ended", spec={"pool": "a"}, conditions=[condition("Succeeded")]),
    ]
    rows = queue.queue_rows(jobs)
    assert [row[2] for row in rows] == [
        "clinic/first",
        "clinic/second",
        "clinic/new",
        "clinic/third",
    ]
    assert [row[2] for row in queue.queue_rows(jobs, "b")] == ["clinic/third"]


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_what_people_see(capsys, output, read):
    shown = [
        Section("GPUs held", ("GPU CLASS", "HELD"), [("nvidia-t4", 2)]),
        Section("Jobs", ("POOL",), hidden="you may not list them."),
        Section("Hub", lines=["leads \x1b[0m"]),
    ]
    show(shown, output)
    assert read(capsys.readouterr().out) == {
        "gpusHeld": [{"gpuClass": "nvidia-t4", "held": 2}],
        "jobs": None,
        "hub": ["leads \x1b[0m"],
    }


COMPLETED = {
    "a command": (["wh"], ["what-if\t" + COMMANDS["what-if"][1], ":4"]),
    "an option": (["nodes", "--data"], ["--datasets", ":4"]),
    "a choice": (["status", "-o", "j"], ["json", ":4"]),
    "a file": (["status", "--kubeconfig", ""], [":0"]),
    "nothing": (["zzz"], [":4"]),
}


@pytest.mark.parametrize(("arguments", "lines"), COMPLETED.values(), ids=COMPLETED)
def test_kubectl_completes_the_plugin(arguments, lines):
    found = [
        line.split("\t")[0] if "--" in line else line for line in completed(arguments).splitlines()
    ]
    assert found == lines
