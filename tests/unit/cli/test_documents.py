"""Manifests as people have them: a field that stands twice, Lists, and what a server added."""

from __future__ import annotations

import copy
import io

import pytest
import yaml
from click.testing import CliRunner

from hansa.cli.books.quote import read_job
from hansa.cli.documents import read_documents, read_file, read_one
from hansa.cli.jobs import submit, whatif
from hansa.cli.main import cli
from hansa.errors import Terminal
from tests.unit.cli.small_league import job

TWICE = {
    "at the top": "a: 1\nb: 2\na: 3\n",
    "inside": "a: {b: {c: 1, c: 1}}\n",
    "in a list": "- {a: 1, a: 2}\n",
    "quoted": "a: 1\n'a': 2\n",
}


@pytest.mark.parametrize("case", TWICE)
def test_a_field_that_stands_twice_is_refused(case):
    with pytest.raises(yaml.YAMLError, match="stands here twice"):
        read_documents(TWICE[case])


def test_what_yaml_knows_otherwise_is_read():
    text = (
        "base: &b {a: 1}\nmore: &m {c: 3}\none: {<<: *b, a: 2}\ntwo: {<<: [*b, *m]}\n1: x\n'1': y\n"
    )
    assert read_one(text)["one"] == {"a": 2}
    assert read_one(text)["two"] == {"a": 1, "c": 3}
    assert read_documents("---\n---\na: 1\n...\n") == [{"a": 1}]


def test_lists_are_their_rows():
    listed = {"kind": "List", "items": [{"kind": "A"}, {"kind": "BList", "items": [{"kind": "B"}]}]}
    assert [one["kind"] for one in read_documents(yaml.safe_dump(listed))] == ["A", "B"]
    assert read_documents("kind: List\n") == [{"kind": "List"}]


@pytest.mark.parametrize("text", ["", "a: 1\n---\nb: 2\n"])
def test_one_is_one(text):
    with pytest.raises(ValueError, match="give one"):
        read_one(text)


def written(tmp_path, *manifests, text=""):
    path = tmp_path / "jobs.yaml"
    path.write_text(text or yaml.safe_dump_all(manifests))
    return str(path)


WIDER = "  residency: {location: {allow: [World]}, legalControl: {allow: [World]}}\n"


def test_a_second_residency_does_not_replace_the_first(tmp_path):
    """YAML would take the last in silence."""
    text = yaml.safe_dump(job("study")).replace("spec:\n", f"spec:\n{WIDER}")
    path = written(tmp_path, text=text)
    for read in (submit.read_jobs, whatif.read_jobs):
        with pytest.raises(Terminal, match="residency stands here twice"):
            list(read(path))
    with pytest.raises(Terminal, match="residency stands here twice"):
        read_job(io.StringIO(text).read())


def test_what_kubectl_prints_is_submitted_again_without_what_the_server_added(tmp_path):
    """A server refuses managedFields in what is applied, and a resourceVersion that is over."""
    live = copy.deepcopy(job("study")) | {"status": {"phase": "x"}}
    live["metadata"] |= {"managedFields": [], "resourceVersion": "7", "uid": "u", "generation": 2}
    live["metadata"]["labels"] = {"a": "b"}
    [sent] = submit.read_jobs(written(tmp_path, {"kind": "List", "items": [live]}))
    assert "status" not in sent
    assert sent["metadata"].keys() <= {"name", "namespace", "labels", "annotations"}
    assert sent["metadata"]["labels"] == {"a": "b"}


def test_two_jobs_of_one_name_are_no_two_jobs(tmp_path):
    with pytest.raises(Terminal, match="two AIJobs are called study"):
        list(submit.read_jobs(written(tmp_path, job("study"), job("study"))))


def test_several_objects_where_one_is_wanted_are_told(tmp_path):
    path = written(tmp_path, job("a"), job("b"))
    with pytest.raises(Terminal, match="2 objects; give one"):
        read_job((tmp_path / "jobs.yaml").read_text())
    options = ["--pool", "gpu", "--location", "EE", "--legal-control", "EU"]
    done = CliRunner().invoke(cli, ["convert", path, *options])
    assert "no RayJob" in str(done.exception)


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "{b: " * 5000, "- " * 5000])
def test_what_is_nested_without_end_is_told(tmp_path, text):
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(Terminal, match="nested too deeply"):
        read_file(str(path))
    with pytest.raises(Terminal, match="nested too deeply"):
        read_job(text)


def test_a_job_without_a_spec_is_told_in_words():
    with pytest.raises(Terminal, match=r"no AIJob: it has no spec"):
        read_job("kind: AIJob")
