"""What the guard deletes, and what it leaves."""

from __future__ import annotations

from hansa.errors import Retryable, Terminal

RUNS = "/api/v1/namespaces"


async def test_what_has_taken_a_run_s_name_meanwhile_is_left(guard, cluster, monkeypatch):
    cluster.switch("Stopped")
    deletes = cluster.delete

    async def delete(path, *, uid=""):
        cluster.objects[path]["metadata"]["uid"] = "another"
        await deletes(path, uid=uid)

    monkeypatch.setattr(cluster, "delete", delete)
    await guard.make_pass()
    assert cluster.runs == {"a", "b"}


async def test_pods_end_at_once_and_not_when_the_namespaces_controller_comes_to_them(
    guard, cluster
):
    cluster.switch("Stopped")
    cluster.faults["delete", f"{RUNS}/b"] = Terminal("refused")
    await guard.make_pass()
    deleted = [call[1] for call in cluster.calls if call[0] == "delete"]
    assert [path for path in deleted if path.startswith(f"{RUNS}/a")] == [
        f"{RUNS}/a",
        f"{RUNS}/a/pods",
    ]
    assert f"{RUNS}/b/pods" not in deleted


def pods_told(cluster):
    """Names of the runs whose pods were told to end, each time."""
    told = [path for verb, path in cluster.calls if verb == "delete" and path.endswith("/pods")]
    return [path.split("/")[-2] for path in told]


def goes(cluster, name):
    """Have a run's namespace be deleted by somebody else, its pods being there still."""
    cluster.objects[f"{RUNS}/{name}"]["metadata"]["deletionTimestamp"] = "2027-01-15T08:00:00Z"


async def test_pods_of_a_namespace_that_somebody_else_deleted_end_at_once_and_are_told_once(
    guard, cluster
):
    """The agent was first, and it may delete namespaces alone: a run must not end later for that."""
    goes(cluster, "a")
    for _ in range(3):
        await guard.make_pass()
    assert pods_told(cluster) == ["a"]
    assert ("delete", f"{RUNS}/a") not in cluster.calls
    assert guard.stops == {}


async def test_pods_that_could_not_be_told_are_told_again(guard, cluster):
    goes(cluster, "a")
    cluster.faults["delete", f"{RUNS}/a/pods"] = Retryable("late")
    await guard.make_pass()
    cluster.faults.clear()
    for _ in range(2):
        await guard.make_pass()
    assert pods_told(cluster) == ["a", "a"]


async def test_pods_of_a_run_of_the_same_name_are_told_again(guard, cluster):
    goes(cluster, "a")
    await guard.make_pass()
    cluster.objects[f"{RUNS}/a"]["metadata"]["uid"] = "another"
    await guard.make_pass()
    assert pods_told(cluster) == ["a", "a"]
    assert guard._emptied == {"another"}
