"""Defects in what a member believes to have: machines, cards, and what others hold of them."""

from __future__ import annotations

from collections.abc import Mapping

from tests.prove.defects.defect import Defect, product

_FOLDER = "reconcile/member/inventory"
MACHINES, REQUESTS = (f"unit/{_FOLDER}/{name}.py" for name in ("test_machines", "test_requests"))
LOST = "unit/member/runs/pods/test_lost_machine.py"
LEFT = "unit/member/runs/pods/test_left_behind.py"

INVENTORY: Mapping[str, Defect] = {
    "a shared card's memory for each of its shares": product(
        f"{_FOLDER}/cards.py",
        "memory_bytes=whole // shares",
        "memory_bytes=whole",
        MACHINES,
    ),
    "memory in bytes believed as MiB": product(
        f"{_FOLDER}/cards.py",
        "if not LEAST_MEMORY <= whole <= min(MOST_MEMORY, _most(product)):",
        "if not LEAST_MEMORY <= whole:",
        MACHINES,
    ),
    "unknown cards in silence": product(
        f"{_FOLDER}/cards.py",
        "if is_unknown_accelerator(resource, table) and usable:",
        "if False:",
        MACHINES,
    ),
    "several slices in one machine": product(
        f"{_FOLDER}/stock.py",
        "        if cards.is_slice:\n",
        "        if False:\n",
        MACHINES,
    ),
    "cards of unknown memory lent beside known ones": product(
        f"{_FOLDER}/stock.py",
        "best[c.gpu_class] == (bool(c.memory_bytes), c.way)]",
        "best[c.gpu_class]]",
        MACHINES,
    ),
    "taints that no run tolerates": product(
        f"{_FOLDER}/machine.py",
        "barred=state or tainted or",
        "barred=state or",
        MACHINES,
    ),
    "machines of any architecture": product(
        f"{_FOLDER}/machine.py",
        "    if made_for != architecture:\n",
        "    if False:\n",
        MACHINES,
    ),
    "what others hold is lent": product(
        f"{_FOLDER}/machine.py",
        "count=max(0, cards.count - ",
        "count=max(0, cards.count - 0 * ",
        REQUESTS,
    ),
    "a pod that only says it is a run's": product(
        f"{_FOLDER}/requests.py",
        "return named and JOB_UID_LABEL",
        "return JOB_UID_LABEL",
        REQUESTS,
    ),
    "a run on a lost machine goes on": product(
        "reconcile/member/lifecycle.py",
        "        or _struck(run, situation)\n",
        "",
        LOST,
    ),
    "what is told to have ended goes on once its machine is back": product(
        "reconcile/member/lifecycle.py",
        "if run.workload is None or not (run.machine_lost or run.head_anew or was_told):",
        "if run.workload is None or not (run.machine_lost or run.head_anew):",
        "unit/reconcile/member/test_lifecycle.py",
    ),
    "all machines are lost where what tells of them is": product(
        f"{_FOLDER}/lost_machines.py",
        "frozenset(self._unready if self._ready else ())",
        "frozenset(self._unready)",
        f"unit/{_FOLDER}/test_lost_machines.py",
    ),
    "a machine's time to come back runs on while nobody answers": product(
        f"{_FOLDER}/lost_machines.py",
        "self._unready = dict.fromkeys(self._unready, at_s)",
        "pass",
        LOST,
    ),
    "a machine that came back keeps the pods it had": product(
        "member/runs/pods/struck_runs.py",
        "seen & lost for name",
        "seen for name",
        LOST,
    ),
    "a machine is lost by what it said before an outage": product(
        "member/runs/pods/struck_runs.py",
        "lost - back, held - back",
        "lost, held",
        LOST,
    ),
    "what a lost machine holds of a run is released at once": product(
        "reconcile/member/lifecycle.py",
        "if not (run.machine_lost and lives_no_more(situation.held_up_s, run.contract, run.noted)):",
        "if not run.machine_lost:",
        LEFT,
    ),
    "a run is released while a pod of it stands on another machine": product(
        "member/runs/situations.py",
        "return bool(held - await machines.away(context, held & context.lost_machines()))",
        "return False",
        LEFT,
    ),
    "pods that were seen missing once are missing for good": product(
        "member/runs/pods/short_runs.py",
        "        else:\n            self._short.pop(name, None)\n",
        "",
        "unit/member/runs/pods/test_short_runs.py",
    ),
    "an exporter that sends the agent elsewhere is followed": product(
        "adapters/pages.py",
        ", allow_redirects=False",
        "",
        "unit/adapters/test_pages.py",
    ),
    "a page that is cut off is a page": product(
        "adapters/pages.py",
        "                    answer.close()\n                    return None\n",
        "                    break\n",
        "unit/adapters/test_pages.py",
    ),
}
