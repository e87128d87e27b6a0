"""What-if over a small league, as the API server would return it."""

import click
import pytest
import yaml

from hansa.cli.jobs import whatif
from hansa.cli.jobs.whatif import Changes, Price
from hansa.cli.league.snapshot import Observed
from hansa.errors import Terminal
from hansa.placement.whatif.compare import compare
from tests.unit.cli.small_league import BALTIC, EE, LV, NOW_S, SPEC, job, league, node


def differences(now, then):
    return list(whatif.differences(now, then, compare(now, then)))


def tried(observed, *added, namespace="clinic"):
    now = observed.snapshot()
    fresh = whatif.new_jobs(observed, now, added, namespace=namespace)
    return differences(now, whatif.with_jobs(now, fresh))


def manifest(name="study", **metadata):
    return {"metadata": {"name": name, **metadata}, "spec": SPEC | BALTIC}


def test_a_job_added_in_memory_finds_its_node():
    assert tried(league(), manifest()) == [("clinic/study", "not there", "starts at riga")]


def test_a_job_of_the_same_name_takes_its_place():
    found = tried(league(job("study")), manifest(namespace="clinic"), namespace="default")
    assert found == [("clinic/study", "starts at lisbon", "starts at riga")]


def test_a_job_that_runs_would_begin_again():
    observed = league(job("study", node="lisbon", epoch=1))
    assert tried(observed, manifest()) == [("clinic/study", "runs at lisbon", "starts at riga")]


def test_of_two_manifests_of_one_name_the_last_counts():
    free = {"metadata": {"name": "study"}, "spec": SPEC}
    assert tried(league(), manifest(), free) == [("clinic/study", "not there", "starts at lisbon")]


def test_a_namespace_without_institution_is_told():
    observed = league()
    added = [manifest()]
    (only,) = whatif.new_jobs(observed, observed.snapshot(), added, namespace="default")
    assert only.barred == "NoInstitution"


CHANGES = {
    "the cheapest node gone": (Changes(nodes=["lisbon"]), "starts at riga"),
    "two nodes gone": (Changes(nodes=["lisbon", "riga"]), "starts at tartu"),
    "an operator gone": (Changes(operators=["lisbon-uni"]), "starts at riga"),
    "an operator and a node gone": (
        Changes(nodes=["riga"], operators=["lisbon-uni"]),
        "starts at tartu",
    ),
    "a vendor gone": (
        Changes(vendors=["nvidia"]),
        "waits: NoAccelerator (no node may take it: 3 NoAccelerator)",
    ),
    "another price": (
        Changes(prices=[Price("tartu", "nvidia-t4", 50_000)]),
        "starts at tartu",
    ),
    "two prices at one node": (
        Changes(prices=[Price("tartu", "x", 1), Price("tartu", "nvidia-t4", 50_000)]),
        "starts at tartu",
    ),
    "all nodes gone": (
        Changes(nodes=["lisbon", "riga", "tartu"]),
        "waits: WaitingForCapacity (pool league has no node with what it needs)",
    ),
}


@pytest.mark.parametrize(("changed", "outcome"), CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_league(changed, outcome):
    now = league(job("study")).snapshot()
    then = whatif.change(now, changed)
    assert differences(now, then) == [("clinic/study", "starts at lisbon", outcome)]


LOSSES = {
    "a node": Changes(nodes=["lisbon"]),
    "an operator": Changes(operators=["lisbon-uni"]),
    "a vendor": Changes(vendors=["amd"]),
}


@pytest.mark.parametrize("changed", LOSSES.values(), ids=LOSSES.keys())
def test_work_at_what_is_gone_goes_elsewhere(changed):
    """Which GPUs it is on the job does not say: the class that its node has is assumed."""
    nodes = [node(*EE), node(*LV, price="0.5"), node("lisbon", "PT", "PT", made="amd-mi210")]
    now = league(job("study", node="lisbon", epoch=1), nodes=nodes).snapshot()
    then = whatif.change(now, changed)
    found = compare(now, then)
    assert found.uprooted == ("uid-study",)
    assert differences(now, then) == [("clinic/study", "runs at lisbon", "starts at riga")]
    assert "would lose the place where they run: 1." in whatif.summary(found)


def test_a_vendors_machines_stay_as_plain_ones():
    plain = {"ray": {"version": "2.60.0", "workers": {"count": 1, "gpus": 0}}}
    now = league(job("study", spec=plain, node="tartu", epoch=1)).snapshot()
    assert differences(now, whatif.change(now, Changes(vendors=["nvidia"]))) == []


def test_nothing_changed_is_an_empty_answer():
    now = league(job("study")).snapshot()
    assert not differences(now, whatif.change(now, Changes()))


UNKNOWN = {
    "node": (Changes(nodes=["x"]), "no node x; there are: lisbon, riga, tartu"),
    "a node of a price": (Changes(prices=[Price("x", "y", 1)]), "no node x; there are: lisbon"),
    "operator": (Changes(operators=["tartu"]), "no operator tartu; there are: lisbon-uni"),
    "vendor": (Changes(vendors=["NVIDIA"]), "no GPU vendor NVIDIA; there are: nvidia"),
}


@pytest.mark.parametrize(("changed", "text"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_there_is_not_is_named_with_what_there_is(changed, text):
    with pytest.raises(click.UsageError, match=text):
        whatif.change(league().snapshot(), changed)


def test_in_a_league_without_gpus_there_is_no_vendor():
    empty = Observed([], [], [], [], NOW_S).snapshot()
    with pytest.raises(click.UsageError, match="no GPU vendor amd; there are: none"):
        whatif.change(empty, Changes(vendors=["amd"]))


@pytest.mark.parametrize("text", ["", "tartu", "tartu=t4", "tartu=t4=cheap", "tartu=t4=1=2"])
def test_a_price_has_three_parts(text):
    with pytest.raises(click.UsageError, match="NODE=CLASS=AMOUNT"):
        whatif._price(text)


BAD_FILES = {
    "another kind": "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {}",
    "no name": "apiVersion: hansa.dev/v1alpha1\nkind: AIJob\nmetadata: {}\nspec: {}",
    "no spec": "apiVersion: hansa.dev/v1alpha1\nkind: AIJob\nmetadata: {name: x}",
    "no object": "- a\n- b",
    "no YAML": "a: [",
}


@pytest.mark.parametrize("text", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_only_jobs_can_be_tried(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(Terminal, match=r"x\.yaml"):
        whatif.read_jobs(str(path))


def test_several_jobs_in_a_file(tmp_path):
    path = tmp_path / "jobs.yaml"
    path.write_text(yaml.safe_dump_all([job("a"), None, job("b")]))
    assert [found["metadata"]["name"] for found in whatif.read_jobs(str(path))] == ["a", "b"]


def test_an_empty_league_is_no_error():
    empty = Observed([], [], [], [], NOW_S).snapshot()
    assert differences(empty, empty) == []


def test_what_cannot_be_read_is_said():
    assert list(whatif.unknown(league())) == []
    (line,) = whatif.unknown(league(hidden=("aijobs",)))
    assert "may not list aijobs everywhere" in line
