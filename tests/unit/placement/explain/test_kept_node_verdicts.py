"""What is kept of a fleet for all jobs says the same as a look at each site for each job."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hansa.model.reasons import Reason
from hansa.model.snapshot import Pool, Snapshot
from hansa.placement.explain.standing import GRAVE, NOT_OURS, PASSES, Standing, site_codes
from hansa.placement.explain.verdicts import BY_SITE, rulings, verdicts
from hansa.placement.explain.waiting import refusals
from hansa.placement.rules.eligibility import OUTSIDE, RULES
from hansa.placement.state.league import League
from tests.seeds import seeds
from tests.unit.placement.leagues import small_leagues as small
from tests.unit.placement.leagues.random_leagues import random_snapshot

STATES = (
    Reason.NODE_UNREACHABLE,
    Reason.NODE_CORDONED,
    Reason.JURISDICTION_DISPUTED,
    Reason.NODE_NOT_READY,
)


def league_of(seed):
    """A league in which every other site has a state of its own, and some have told of no machines."""
    rng = np.random.default_rng(seed)
    snapshot = random_snapshot(rng, jobs=20, sites=12)

    def state(site):
        if rng.random() < 0.3:
            site = replace(site, machines=())
        if rng.random() < 0.2:
            site = replace(site, draining=True)
        if rng.random() < 0.5:
            reason = STATES[rng.integers(len(STATES))]
            site = replace(site, unavailable=reason, unavailable_message=f"{site.name}: {reason}")
        return site

    return League(replace(snapshot, sites=tuple(map(state, snapshot.sites))))


def graver(site, rule):
    """A site's state where that is graver; of machines it has not told of no rule knows anything."""
    state = site.unavailable
    if state is None:
        return rule
    knows_nothing = rule is Reason.NO_ACCELERATOR and not site.machines
    return state if knows_nothing or state.gravity < rule.gravity else rule


def looked_at(league, kind):
    """Gravity per site, one site after the other."""
    found = []
    for site, code in zip(league.fleet.sites, site_codes(league, kind).tolist(), strict=True):
        if code == OUTSIDE:
            found.append(NOT_OURS)
        elif code == 0:
            draining = Reason.NODE_CORDONED if site.draining else Reason.PENDING
            found.append((site.unavailable or draining).gravity)
        else:
            found.append(graver(site, RULES[code]).gravity)
    return found


@pytest.mark.parametrize("seed", seeds(40))
def test_each_site_is_judged_as_if_alone(seed):
    league = league_of(seed)
    standing = Standing(league.fleet)
    for record in league.records.values():
        if record.kind >= 0:
            ruled = rulings(league, record, standing)
            one_by_one = looked_at(league, record.kind)
            assert ruled.gravity.tolist() == one_by_one
            counted = Counter(GRAVE[rank] for rank in one_by_one if rank != NOT_OURS)
            assert refusals(league, record.kind, standing) == counted


@pytest.mark.parametrize("seed", seeds(40))
def test_words_that_are_kept_are_those_of_each_job(seed):
    league = league_of(seed)
    standing = Standing(league.fleet)
    for record in league.records.values():
        kept = rulings(league, record, standing).refused()
        assert kept == rulings(league, record).refused()


def test_the_leagues_have_what_is_to_be_told():
    """The tests above would hold of leagues in which nothing is refused."""
    seen, shared = set(), 0
    for seed in range(40):
        league = league_of(seed)
        standing = Standing(league.fleet)
        for record in league.records.values():
            ruled = rulings(league, record, standing)
            seen |= {GRAVE[g] for g in ruled.gravity.tolist() if g < NOT_OURS and g != PASSES}
            shared += len(
                {id(v) for v in ruled.refused()} & {id(v) for v in standing._said.values()}
            )
    assert seen >= {*STATES, *BY_SITE}
    assert shared > 1000


LEVELS = {
    "nobody has it": (
        (0, 1),
        3,
        "has L0, L3 is needed; no node of the league has shown L2: capacity probes",
    ),
    "one has it": ((0, 2), 2, "has L0, L2 is needed"),
    "nothing was shown at all": (
        (0, 0),
        1,
        "no node of the league has shown L1: countersigned receipts",
    ),
}


@pytest.mark.parametrize(("shown", "asked", "words"), LEVELS.values(), ids=LEVELS)
def test_what_nobody_has_shown_is_told_with_the_way_to_show_it(shown, asked, words):
    """Waiting lifts no node: a league that sends no probes keeps an owner waiting for ever."""
    sites = tuple(small.site(f"s{n}", assurance=level) for n, level in enumerate(shown))
    job = small.job("j", assurance=asked)
    said = verdicts(Snapshot(0, sites, (Pool("p"),), (job,)), job.uid)[0]
    assert (said.site, said.reason) == ("s0", Reason.ASSURANCE_TOO_LOW)
    assert words in said.message
    assert ("no node" in said.message) is ("no node" in words)
