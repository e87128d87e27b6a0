"""Defects of leaders that divide a league: whose a pool is, and whose a node."""

from __future__ import annotations

from collections.abc import Mapping

from tests.prove.defects.defect import Defect, product

ELECTION = "hub/leadership/election.py"
CLAIMED, DIVIDED = (
    "unit/hub/leadership/test_election.py",
    "unit/hub/leadership/test_two_leaders.py",
)

FENCED, AGENT = "unit/adapters/kube/test_fenced.py", "unit/member/test_app.py"

LEADERS: Mapping[str, Defect] = {
    "a pool hub that does not look for the main hub": product(
        ELECTION, "if self._main.is_free(main) or not still_led:", "if main:", CLAIMED
    ),
    "a main hub that does not look for claims": product(
        ELECTION, "if claims != self._division.claims:", "if not self._division:", CLAIMED
    ),
    "a look that counts for ever": product(
        ELECTION, "        return unopposed and all(", "        return all(", CLAIMED
    ),
    "a pool given back is led at once": product(
        ELECTION, "if given_back <= waited_for:", "if claims is not None:", CLAIMED
    ),
    "a node of two leaders takes work": product(
        "hub/league_cache.py", "if self._part(node) is Part.SHARED:", "if not view:", DIVIDED
    ),
    "room taken by another leader's job is not seen": product(
        "hub/planner/job_index.py",
        "            return any(node not in self._elsewhere for node in held)",
        "            return False",
        DIVIDED,
    ),
    "what is left of another leader's job is ended": product(
        "hub/controller.py",
        "known = () if self._caches.is_others(uid) else epochs",
        "known = epochs",
        DIVIDED,
    ),
    "a fence that lets an apply through": product(
        "adapters/kube/fenced.py",
        '"""Server-side apply, as leader."""\n        self._check()\n',
        '"""Server-side apply, as leader."""\n',
        FENCED,
    ),
    "a fence that is asked and not heeded": product(
        "adapters/kube/fenced.py", "if not self._still_leader():", "if not self._cluster:", FENCED
    ),
    "an agent that writes at home without leading": product(
        "member/app.py", "FencedCluster(own, still_leader=still_leader)", "own", AGENT
    ),
    "an agent that tells the hub without leading": product(
        "member/app.py", "FencedCluster(hub, still_leader=still_leader)", "hub", AGENT
    ),
}
