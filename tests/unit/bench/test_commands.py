"""Each benchmark ends with one JSON line of the documented shape; sizes here are tiny."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.bench import bench_incremental, bench_plan, bench_trace

STAMP = {"machine", "cores", "seed", "workload"}
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "benchmarks.md"


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(bench_plan.SIZES, "1k", bench_plan.Size(200, 10, 400))
    monkeypatch.setitem(bench_plan.SIZES, "10k", bench_plan.Size(300, 15, 600, has_lp=False))


def _last_line(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def _documented(result: dict) -> None:
    page = PAGE.read_text()
    missing = [key for key in result if f"`{key}`" not in page]
    assert missing == []


def test_bench_plan(capsys):
    bench_plan.main(["--instances", "1k,10k", "--repeats", "4"])
    result = _last_line(capsys)
    assert result.keys() >= {"instances", "slope", *STAMP}
    one = result["instances"][0]
    assert one["certified_gap"] >= one["true_gap"] - 1e-5
    assert set(one["peers"]) == {"priority_fifo_list", "priority_cheapest", "fifo_list"}
    assert result["instances"][-1]["lp_ms"] is None
    assert result["instances"][-1]["true_gap"] is None
    _documented(result)
    _documented(one)
    _documented(one["peers"]["fifo_list"])


def test_bench_incremental(capsys):
    bench_incremental.main(["--instance", "1k", "--events", "40"])
    result = _last_line(capsys)
    assert result.keys() >= {"p50_ms", "p99_ms", "max_ms", "drift", "needless_moves", *STAMP}
    assert result["violations"] == 0
    _documented(result)


def test_bench_trace(capsys, tmp_path):
    trace = tmp_path / "trace.csv"
    rows = [f"{60 * (n % 7)},{300 + 400 * (n % 5)},{2 ** (n % 5)},{'ab'[n % 2]}" for n in range(80)]
    trace.write_text("gap_s,duration_s,gpus,cluster\n" + "\n".join(rows) + "\n")
    plots = tmp_path / "plots"
    arguments = ["--csv", str(trace), "--processes", "1", "--loads", "0.9"]
    results = []
    for extra in (["--plots", str(plots)], [], ["--seed", "2"]):
        bench_trace.main([*arguments, *extra])
        results.append(_last_line(capsys))
    result = results[0]
    assert result["loads"][0]["load"] == 0.9
    assert set(result["policies"]) == set(bench_trace.POLICIES)
    _documented(result)
    _documented(result["policies"]["hansa"])
    timeless = [
        {name: {**figures, "wall_s": 0} for name, figures in one["policies"].items()}
        for one in results
    ]
    assert timeless[0] == timeless[1] != timeless[2]
    assert {path.suffix for path in plots.iterdir()} == {".png", ".svg"}
