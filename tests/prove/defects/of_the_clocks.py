"""Defects in what is made of time: whose clock counts, and what a restart forgets."""

from __future__ import annotations

from collections.abc import Mapping

from tests.prove.defects.defect import Defect, product

CONTACT, GUARDS = "unit/member/hub_link/test_contact.py", "unit/guard/test_clocks.py"

CLOCKS: Mapping[str, Defect] = {
    "contact that never grows old": product(
        "member/hub_link/contact.py",
        "return self._silence(self.moment()).length_s",
        "return 0.0",
        CONTACT,
    ),
    "a contact that is missing counts as now": product(
        "member/hub_link/contact.py",
        "self.last_s: float | None = last_s if usable else None",
        "self.last_s: float | None = last_s if usable else clock.now()",
        CONTACT,
    ),
    "a contact to come counts": product(
        "member/hub_link/contact.py",
        "last_s is not None and last_s <= clock.now() + skew_s",
        "last_s is not None",
        CONTACT,
    ),
    "a contract begins anew at each restart": product(
        "member/app.py",
        "                await self._last_contact(own),\n",
        "                self._clock.now(),\n",
        "unit/member/test_app.py",
    ),
    "a silence forgotten once it is over": product(
        "member/hub_link/contact.py",
        "            self._silences.append(silence)",
        "            silence = self._silence(sent)",
        CONTACT,
    ),
    "a hub that leads by a wrong clock": product(
        "hub/app.py",
        "            unfit=self.clock_fault,\n",
        "",
        "unit/hub/test_app.py",
    ),
    "a guard whose clock goes back with the machine's": product(
        "guard/time_kept.py",
        "        self._last = now_s, steady_s",
        "        self._last = now_s, steady_s\n        return wall_s",
        "unit/guard/test_guard.py",
    ),
    "a guard that believes its own clock alone": product(
        "guard/time_kept.py",
        "elif ahead_s is not None and abs(ahead_s) <= self._skew_s:",
        "elif ahead_s is not None:",
        GUARDS,
        "unit/guard/test_time_kept.py",
    ),
    "a clock set back hides a log's lines": product(
        "reconcile/member/logs/log_scan.py",
        "earlier_s=self.second - key[0] + SET_BACK_S",
        "earlier_s=self.second - key[0]",
        "unit/reconcile/member/logs/test_log_scan.py",
    ),
    "clocks set back together lengthen a contract": product(
        "guard/guard.py", "run_now_s=self._time.of_runs(run.uid for run in runs),", "", GUARDS
    ),
}
