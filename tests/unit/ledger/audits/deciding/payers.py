"""Another process that pays all that is due just while a draw or a verdict reads what is at stake."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from hansa.api.kinds import COMPUTEPOOL
from tests.unit.ledger.audits.long_runs import LongRun, pay
from tests.unit.ledger.audits.small_league import POOL, SmallLeague

LONG_ENOUGH_S = 3.0
"""For a payer that nothing holds up."""


class Payer:
    """Pays beside whoever reads what a node has at stake."""

    def __init__(self, league: SmallLeague) -> None:
        self.league, self.threads = league, []
        facts = league.audits._parts.epochs._facts
        self._read, facts.unsettled = facts.unsettled, self._unsettled
        self.beside = ""
        """Beside what it pays; empty: it does not."""

    def _unsettled(self, *asked: Any) -> Any:
        found = self._read(*asked)
        # A draw asks for what was at stake as its epoch began.
        if self.beside == ("verdict", "draw")[len(asked) - 1]:
            thread = threading.Thread(target=pay, args=(self.league,))
            self.threads.append(thread)
            thread.start()
            thread.join(LONG_ENOUGH_S)
        return found

    def stop(self) -> None:
        self.beside = ""
        for thread in self.threads:
            thread.join()


async def _decided_without_a_result(league: SmallLeague, name: str) -> LongRun:
    run = LongRun(league, name, "tartu")
    run.member.result = "0.99"
    await run.go_on(2)
    run.end()
    run.tell(result=False)
    await league.tick()
    await league.until(lambda: league.told(name).get("audit") == "Inconclusive")
    return run


async def paid_beside_a_draw(league: SmallLeague, payer: Payer) -> None:
    """The result of a run that was decided is told at last, and it is drawn."""
    run = await _decided_without_a_result(league, "study")
    run.tell()
    payer.beside = "draw"
    await league.until(lambda: league.told("study").get("audit") == "Due")
    payer.stop()
    await run.release()


async def paid_beside_a_verdict(league: SmallLeague, payer: Payer) -> None:
    """A node is found to have cheated while another run of it is due."""
    run = await _decided_without_a_result(league, "other")
    await run.release()
    league.submit("study", "tartu", comparator={})
    await league.until(lambda: len(league.audit_jobs()) == 2)
    payer.beside = "verdict"
    await league.until(lambda: league.told("study").get("audit", "Due") != "Due")
    payer.stop()


MEANWHILE = (paid_beside_a_draw, paid_beside_a_verdict)


async def what_a_cheat_is_paid(engine: Engine, folder: Path, what: Any) -> dict[str, int]:
    """Return account → micros of the cheat's institution once it was found, somebody paying all the while."""
    league = SmallLeague(engine, folder)
    body = {"metadata": {"name": "league"}, "spec": POOL | {"verification": {"floorPercent": 100}}}
    league.hub.put(COMPUTEPOOL.path(name="league"), body)
    payer = Payer(league)
    await what(league, payer)
    assert payer.threads
    await league.until(lambda: league.told("study").get("audit") == "Failed")
    pay(league)
    found = league.accounts()
    return {kind: micros for (name, kind), micros in found.items() if name == "university"}
