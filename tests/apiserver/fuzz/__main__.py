"""``python -m tests.apiserver.fuzz``: longer rounds than CI takes, the figures as one line of JSON last."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SUMMED = ("hostile_grants", "agent_deaths", "answers", "traces")
HIGHEST = ("stop_s", "back_s", "slowest_probe_s", "rss_peak_mib")


class Collected:
    """Keeps what the test noted, also where it failed."""

    def __init__(self) -> None:
        self.rounds: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the figures of a test that has ended."""
        if report.when == "call":
            noted = (text for name, text in report.user_properties if name == "hostile hub")
            self.rounds += [json.loads(str(text)) for text in noted]


def fuzz(rounds: int, seconds: float, seed: int | None = None) -> tuple[dict[str, Any], bool]:
    """Play rounds, each by a seed of its own; returns the figures and whether all held."""
    os.environ["HANSA_FUZZ_SECONDS"], os.environ["HANSA_FUZZ_ROUNDS"] = str(seconds), str(rounds)
    if seed is not None:
        os.environ["HANSA_SEED"] = str(seed)
    collected = Collected()
    code = pytest.main(["-q", "-s", "-p", "no:cacheprovider", str(HERE)], plugins=[collected])
    figures: dict[str, Any] = {"fuzz_rounds": len(collected.rounds)}
    figures |= {name: sum(one[name] for one in collected.rounds) for name in SUMMED}
    figures |= {name: max((one[name] for one in collected.rounds), default=0) for name in HIGHEST}
    return figures, code == pytest.ExitCode.OK and len(collected.rounds) == rounds


def main() -> int:
    """Play, and print the figures."""
    asked = _arguments()
    figures, held = fuzz(asked.rounds, asked.seconds, asked.seed)
    print(json.dumps(figures))  # noqa: T201  # what it is called for
    return 0 if held else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.apiserver.fuzz")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=120.0, help="of each round's hostile part")
    parser.add_argument("--seed", type=int, help="of the first round; drawn anew unless given")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
