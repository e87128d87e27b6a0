"""``python -m e2e transcript``: brings the troubles about, one by one, and writes what the owners read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from e2e.demo.league import League
from e2e.testbed.build.binaries import cache_root
from e2e.testbed.cluster.spec import LEAGUE
from e2e.testbed.host.progress import Progress
from e2e.testbed.machines import state
from e2e.testbed.machines.teardown import remains
from e2e.testbed.providers.local import LocalTestbed
from e2e.troubles.cases import PULL_SECRET, TROUBLES, Trouble, pull_secret
from e2e.troubles.stage import Stage, Told

NAME = "troubles"
MACHINES = {"hub": 1, "tartu": 1, "riga": 1, "lisbon": 2}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "hansa-hub": {"grants": {"validitySeconds": 60, "clockSkewSeconds": 5}},
    "hansa-member": {
        "timing": {"startLimitSeconds": 90},
        "runs": {"imagePullSecrets": [PULL_SECRET]},
    },
}
"""The shortest grants there are, a start limit that nobody waits 15 minutes for, and a pull secret."""
HEAD = """# What owners read when clusters are as they are

<!-- Written by `python -m e2e transcript`. -->

Real pods on the [testbed](demo.md): a hub, Tartu, Riga and Lisbon, each a cluster of its own; Lisbon has two machines.
One after the other, troubles are brought about as machines have them, and what stood in the job's status is written down,
with the seconds after which it was seen first. The members give a run 90 seconds to begin; by default it is 15 minutes.
"""


@contextmanager
def stage() -> Iterator[Stage]:
    """Found the league; nothing of it may remain afterwards."""
    specs = [replace(spec, machines=MACHINES[spec.name]) for spec in LEAGUE]
    with LocalTestbed(specs, name=NAME, progress=Progress()) as testbed:
        record = state.load(NAME)
        for site in testbed.sites.values():
            for spare in site.machines[1:]:
                # What need not be there stays on the first machine: the API server and, of runs, the head.
                site.kubectl("taint", "node", spare.name, "hansa.dev/spare=true:PreferNoSchedule")
        league = League(testbed, cache_root() / "run" / NAME / "data", settings=SETTINGS)
        league.found()
        for site in league.members.values():
            site.apply(pull_secret("wrong"))
        yield Stage(testbed, league)
    left = remains(record) if record else [f"no record of {NAME}"]
    if left:
        raise AssertionError(f"left behind: {left}")


def play(chosen: Sequence[Trouble] = TROUBLES) -> Iterator[tuple[Trouble, Told]]:
    """Bring troubles about and yield what was read; raises where it was not what is right."""
    with stage() as league:
        for trouble in chosen:
            with league.testbed.progress.step(trouble.title):
                told = trouble.play(league)
            yield trouble, told


def page(played: Sequence[tuple[Trouble, Told]]) -> str:
    """Return the page of the documentation."""
    return HEAD + "".join(_section(trouble, told) for trouble, told in played)


def write(path: Path) -> None:
    """Bring all troubles about and write the page."""
    path.write_text(page(list(play())), encoding="utf-8")


def _section(trouble: Trouble, told: Told) -> str:
    rows = "".join(f"{line.at_s:5.0f} s  {' '.join(line.text.split())}\n" for line in told.lines)
    return f"\n## {trouble.title}\n\n{trouble.done} {trouble.right}\n\n```text\n{rows}```\n"
