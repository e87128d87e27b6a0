"""What the guard deletes, and what it leaves."""

from __future__ import annotations

from hansa.errors import Terminal

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
