"""PHX is real where it says so, drawn from a seed where not, and fits its own rules."""

from __future__ import annotations

import gzip
from collections import Counter

import numpy as np
import pytest

from e2e.bench.phx.supply import BLOCS, COUNTRIES, GPU_KINDS, build_sites, site_gpus
from e2e.bench.phx.traces import DATA, Demand, read_demand, read_supply
from e2e.bench.phx.workload import RESIDENCY_MIX, gang, requested_s, static_snapshot, trace_scenario
from e2e.bench.simulation.occupancy import Occupancy
from e2e.lawful import Lawful
from hansa.api import places


@pytest.fixture(scope="module", name="philly")
def philly_fixture() -> Demand:
    return read_demand()


def test_philly_is_whole(philly):
    assert len(philly) == 82_247
    assert len(philly.clusters) == 15
    sizes = Counter(philly.gpus.tolist())
    assert [sizes[n] for n in (1, 2, 4, 8, 16, 32)] == [76_627, 1_818, 1_870, 1_643, 199, 67]
    assert philly.arrival_s[-1] == pytest.approx(108.9 * 86_400, rel=1e-3)
    assert philly.gpu_seconds().sum() / 3600 == pytest.approx(978_078, abs=1)


def test_openb_is_whole():
    supply = read_supply()
    assert sum(kind.nodes for kind in supply) == 1_213
    assert sum(kind.nodes * kind.gpus for kind in supply) == 6_212
    assert {kind.model for kind in supply} == set(GPU_KINDS)


def test_the_data_are_small_and_credited():
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 2_000_000
    readme = (DATA / "README.md").read_text()
    assert "CC BY 4.0" in readme
    assert "Apache-2.0" in readme


BAD_TRACES = {
    "no such column": ("gap_s,duration_s,gpus\n0,1,1\n", "cluster"),
    "empty": ("gap_s,duration_s,gpus,cluster\n", "no jobs"),
    "a negative gap": ("gap_s,duration_s,gpus,cluster\n-1,1,1,a\n", "gaps"),
    "no duration": ("gap_s,duration_s,gpus,cluster\n0,0,1,a\n", "durations"),
    "no number": ("gap_s,duration_s,gpus,cluster\n0,x,1,a\n", "invalid literal"),
}


@pytest.mark.parametrize(("text", "message"), BAD_TRACES.values(), ids=BAD_TRACES)
def test_bad_traces_are_refused(text, message, tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_demand(path)


def test_a_trace_may_be_compressed(tmp_path):
    path = tmp_path / "trace.csv.gz"
    with gzip.open(path, "wt") as stream:
        stream.write("gap_s,duration_s,gpus,cluster\n5,10,2,a\n7,20,1,b\n")
    demand = read_demand(path)
    assert demand.arrival_s.tolist() == [5, 12]
    assert demand.clusters == ("a", "b")


def test_sixty_countries_in_six_blocs_as_the_product_knows_them():
    assert len(COUNTRIES) == 60
    assert len(BLOCS) == 6
    for bloc, members in BLOCS.items():
        assert set(members) <= places.BLOCS[bloc]


@pytest.mark.parametrize(("gpus", "sites"), [(400, 40), (2_000, 50), (20_000, 200)])
def test_machines_are_dealt_out_whole(gpus, sites):
    league = build_sites(np.random.default_rng(3), gpus=gpus, weights=[1.0] * sites, cordons=True)
    assert len(league) == sites
    assert all(group.count > 0 for site in league for group in site.machines)
    assert all(site_gpus(site) > 0 for site in league)
    assert sum(map(site_gpus, league)) == pytest.approx(gpus, rel=0.05)


def test_the_snapshot_comes_from_the_seed_and_meets_its_load():
    first, again, other = (
        static_snapshot(jobs=2_000, sites=40, gpus=4_000, load=2.0, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    asked = sum(job.shape.total_gpus for job in first.jobs)
    assert asked / sum(map(site_gpus, first.sites)) == pytest.approx(2.0, rel=0.1)


def test_residency_is_mixed_as_published():
    snapshot = static_snapshot(jobs=4_000, sites=60, gpus=8_000, load=1.0, seed=1)
    kinds = Counter(_kind(*job.residency.location.allow) for job in snapshot.jobs)
    for kind, share in RESIDENCY_MIX.items():
        assert kinds[kind] / 4_000 == pytest.approx(share, abs=0.03)


def _kind(place: str) -> str:
    if place in COUNTRIES:
        return "country"
    return {"World": "anywhere"}.get(place, "overlay" if place.startswith("overlay/") else "bloc")


def test_every_job_could_run_somewhere_if_the_league_were_idle_and_open():
    snapshot = static_snapshot(jobs=1_000, sites=30, gpus=3_000, load=1.0, seed=4)
    world, lawful = Occupancy(snapshot.sites), Lawful(snapshot)
    assert all(
        any(world.could_ever_fit(site, job.shape) for site in lawful.sites(job))
        for job in snapshot.jobs
    )


GANGS = {1: (1, 1), 2: (1, 2), 6: (3, 2), 8: (1, 8), 12: (3, 4), 64: (8, 8), 7: (7, 1)}


@pytest.mark.parametrize(("gpus", "expected"), GANGS.items(), ids=map(str, GANGS))
def test_gangs(gpus, expected):
    shape = gang(gpus, "")
    assert (shape.workers, shape.gpus) == expected


def test_requests_are_round_and_never_too_short():
    durations = np.array([1, 700, 50_000, 10_000_000], np.int64)
    asked = requested_s(np.random.default_rng(1), durations)
    assert (asked >= durations).all()
    assert asked[0] == 600


def test_load_squeezes_the_trace(philly):
    head = philly.take(np.arange(500))
    easy, _ = trace_scenario(load=0.9, seed=1, demand=head)
    hard, facts = trace_scenario(load=1.8, seed=1, demand=head)
    assert facts["left_out"] == 0
    spans = [run.jobs[-1].submitted_s - run.jobs[0].submitted_s for run in (easy, hard)]
    assert spans[1] == pytest.approx(spans[0] / 2, rel=0.01)
    assert easy.snapshot.sites == hard.snapshot.sites
