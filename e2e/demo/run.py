"""``make demo``: set everything up, tell the story, check it, print it, take everything down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from e2e.demo.account import Account
from e2e.demo.audit import Finding, examine, read_audit_log
from e2e.demo.jobs import JobOutcome
from e2e.demo.league import INSTITUTIONS, League
from e2e.demo.report import Report
from e2e.demo.settlement import Node, set_off, settle
from e2e.demo.simulated import SimulatedLeague
from e2e.demo.story import Scene, places, tell
from e2e.demo.verification.chapter import CHEAT, Chapter
from e2e.testbed.addons.prometheus import Prometheus
from e2e.testbed.build.binaries import cache_root
from e2e.testbed.build.images import RAY
from e2e.testbed.cluster.cluster import Cluster
from e2e.testbed.host.clock import elapsed_s
from e2e.testbed.host.progress import Progress
from e2e.testbed.machines import state
from e2e.testbed.machines.containerd import replace_in_images
from e2e.testbed.machines.teardown import remains
from e2e.testbed.providers.local import LocalTestbed
from e2e.testbed.providers.provider import ProviderUnavailableError
from e2e.testbed.providers.simulated import NOTICE, SimulatedTestbed

FILE_WIDTH = 150
GPU_NOTICE = (
    "GPUs are declared, not present: nodes offer nvidia.com/gpu as an extended resource, and the"
    " programs compute on CPUs."
)
LEFT_NOTICE = "Processes, cgroups, network interfaces, mounts and folders of it that are left"


@dataclass(frozen=True, slots=True)
class Running:
    """A founded league; beside it Prometheus, where pods are real."""

    league: League | SimulatedLeague
    testbed: LocalTestbed | SimulatedTestbed
    image: str
    prometheus: Prometheus | None = None
    verification: Chapter | None = None
    """None where pods are simulated."""


@contextmanager
def running_league(progress: Progress, *, name: str, keep: bool = False) -> Iterator[Running]:
    """Bring up real clusters, found the league, start Prometheus; take all down at the end.

    ``keep``: leave it running, unless something has failed.
    """
    progress.note(GPU_NOTICE)
    folder = cache_root() / "run" / name / "demo"
    testbed = LocalTestbed(name=name, progress=progress, die_with_parent=not keep)
    with kept(testbed, keep=keep):
        league = League(testbed, folder / "data")
        league.found()
        prometheus = Prometheus(
            folder / "prometheus",
            list(testbed.sites.values()),
            marker=name,
            die_with_parent=not keep,
        )
        with kept(prometheus, keep=keep):
            image = testbed.images[RAY].reference
            yield Running(league, testbed, image, prometheus, _verification(league, testbed, image))


def _verification(league: League, testbed: LocalTestbed, image: str) -> Chapter:
    def replace(file: str, body: bytes) -> int:
        machines = testbed.sites[CHEAT].machines
        return sum(replace_in_images(one.folder / "containerd", file, body) for one in machines)

    return Chapter(
        hub=league.hub,
        books=league.books,
        image=image,
        progress=testbed.progress,
        replace=replace,
        set_ledger=league.set_ledger,
    )


@contextmanager
def kept(thing: AbstractContextManager[object], *, keep: bool) -> Iterator[None]:
    """Enter and leave ``thing``; with ``keep`` leave it only where what was done in it has failed."""
    with ExitStack() as stack:
        stack.enter_context(thing)
        yield
        if keep:
            stack.pop_all()


@contextmanager
def simulated_league(progress: Progress, *, name: str, keep: bool = False) -> Iterator[Running]:
    """Bring up real control planes with simulated pods and found the league on them."""
    if keep:
        raise ProviderUnavailableError(
            "simulated agents end with the demo; keep a league of real pods: --provider local"
        )
    with SimulatedTestbed(name=name, progress=progress) as testbed:
        league = SimulatedLeague(testbed)
        league.found()
        yield Running(league, testbed, f"hansa.local/ray-sklearn@sha256:{'0' * 64}")


PROVIDERS = {"local": running_league, "simulated": simulated_league}


def run_story(running: Running) -> tuple[list[JobOutcome], Finding, tuple[Account, ...]]:
    """Tell the story, settle what its jobs cost, and examine every pod creation of every member.

    A story that fails is examined as well, and its error carries what was found.
    """
    league, scene = running.league, scene_of(running)
    try:
        outcomes = tell(scene)
        if running.prometheus is not None:
            running.prometheus.refresh()
        ended = [job.full_name for job in outcomes if job.outcome in {"Succeeded", "Failed"}]
        accounts = settle(league.books, scene.progress, ended, partial(node_key, league.hub))
        who = list(INSTITUTIONS.values())
        set_off(league.books, scene.progress, who, nodes_of(league.hub), last_job=ended[-1])
    except Exception as error:
        error.add_note(in_words(audit(scene)))
        raise
    return outcomes, audit(scene), accounts


def scene_of(running: Running) -> Scene:
    """Return what the story needs of a running league."""
    league = running.league
    return Scene(
        hub=league.hub,
        members=league.members,
        policies=league.policies,
        image=running.image,
        stop_hub=league.stop_hub,
        start_hub=league.start_hub,
        progress=running.testbed.progress,
        real_pods=running.testbed.pods == "real",
        verification=running.verification,
    )


def faults(finding: Finding, left: Sequence[str], *, real_pods: bool) -> list[str]:
    """Return what a told story must not leave: pods outside, things behind, or logs that show nothing."""
    wrong = [f"{one.placed}: {one.why}" for one in finding.outside]
    wrong += [f"left behind: {one}" for one in left]
    if real_pods and not finding.bound:
        wrong.append("the audit logs bind no pod of a job to a machine, so they show nothing")
    return wrong


def in_words(found: Finding) -> str:
    """Return one line on what the audit logs say, and a line for each pod outside."""
    counts = f"{found.of_jobs} of {found.examined} pods were work; outside: {len(found.outside)}"
    return "\n".join([counts, *(f"{one.placed}: {one.why}" for one in found.outside)])


def node_key(hub: Cluster, node: str) -> str:
    """Return the key by which a node's receipts are checked: its admin told it to the league's."""
    return str(hub.get("sovereignnode", node)["spec"]["releaseKey"])


def nodes_of(hub: Cluster) -> list[Node]:
    """Return all nodes of the league, with the keys that their admins told to the league's."""
    found = hub.get("sovereignnodes")["items"]
    return [
        Node(one["metadata"]["name"], one["spec"]["institution"], one["spec"]["releaseKey"])
        for one in found
        if one["spec"].get("releaseKey")
    ]


def audit(scene: Scene) -> Finding:
    """Merge the members' audit logs and judge every pod creation and binding in them."""
    logs = {name: member.audit_log for name, member in scene.members.items()}
    placed = (one for name, log in logs.items() for one in read_audit_log(name, log))
    return examine(placed, places(scene))


def next_commands(running: Running) -> str:
    """Return what to try in a league that was left running: three commands, and how it ends."""
    hub = running.league.hub.kubeconfig
    commands = ("status", "nodes", "explain nowhere -n hospital")
    lines = [f"  .venv/bin/hansa {command} --kubeconfig {hub}" for command in commands]
    watched = running.prometheus
    metrics = [f"Its metrics: {watched.url} (Prometheus)."] if watched is not None else []
    heading, end = "The league is still there. Next:", "make down takes it away."
    return "\n".join([heading, *lines, *metrics, end])


def _console() -> Console:
    """Return a console wide enough for the table, also where the output is a file."""
    console = Console()
    return console if console.is_terminal else Console(width=FILE_WIDTH)


def demo(
    report_path: Path, provider: str = "local", *, name: str = "hansa", keep: bool = False
) -> Report:
    """Run the whole demo; raises when the league did not do what the story says.

    ``keep``: leave a league that did, with all that is in it, and say what to try.
    """
    begun = elapsed_s()
    progress, console = Progress(), _console()
    with PROVIDERS[provider](progress, name=name, keep=keep) as running:
        recorded = state.load(name)
        outcomes, finding, accounts = run_story(running)
        report = Report(
            provider=provider,
            total_seconds=round(elapsed_s() - begun, 1),
            pods_examined=finding.examined,
            pods_outside_residency=len(finding.outside),
            jobs=tuple(outcomes),
            accounts=accounts,
            audits=running.verification.found if running.verification else (),
        )
        report.write(report_path)
        next_ = next_commands(running) if keep and not finding.outside else ""
    report.show(console)
    console.print(GPU_NOTICE if provider == "local" else NOTICE)
    console.print(f"The same is in {report_path.name}.")
    if next_:
        console.print(next_, markup=False, highlight=False, soft_wrap=True)
        return report
    left = remains(recorded) if recorded else [f"no record of {name}"]
    console.print(f"{LEFT_NOTICE}: {', '.join(left) or 'nothing'}.")
    if wrong := faults(finding, left, real_pods=running.testbed.pods == "real"):
        raise AssertionError("; ".join(wrong))
    return report
