"""``hansa status``, ``nodes`` and ``top``: the league on one screen, from what its objects say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hansa.api.kinds import AIJOB, COMPUTEPOOL, SOVEREIGNNODE
from hansa.cli.access import Access, list_if_allowed, with_access
from hansa.cli.display import Section, repeat, with_output, with_watch
from hansa.cli.health.finding import Finding
from hansa.cli.health.hub_lease import ask_for_hub
from hansa.ports import Manifest

if TYPE_CHECKING:
    from hansa.adapters.kube.client import KubeCluster

T = TypeVar("T")

EXIT_NO_HUB = 3
"""What was shown is old, or nobody will act on it: no hub leads here."""
ENDED = frozenset({"Succeeded", "Failed"})


@click.command
@with_watch
@with_output
@with_access
def status(output: str, watch: bool, access: Access) -> None:  # noqa: FBT001  # click passes options by name
    """Show nodes, pools and jobs on one screen, and whether a hub works.

    Exits with 3 when no hub leads here: then all that is shown is what the last one wrote.
    """

    def answer() -> tuple[list[Section], int]:
        hub, found = access.ask(lambda cluster: beside_hub(cluster, _read_league(cluster)))
        nodes_, pools, jobs = found
        counts = None if jobs is None else job_counts(jobs)
        sections = [
            _section("Nodes", NODE_COLUMNS, None if nodes_ is None else [*map(node_row, nodes_)]),
            _section("Pools", POOL_COLUMNS, None if pools is None else [*map(pool_row, pools)]),
            _section("Jobs", ("POOL", "STATE", "JOBS"), counts, NO_JOBS),
        ]
        return [*sections, hub_section(hub)], exit_code(hub)

    repeat(answer, output, watch=watch)


@click.command
@click.option("--datasets", is_flag=True, help="Show the data sets that members announce instead.")
@with_watch
@with_output
@with_access
def nodes(datasets: bool, output: str, watch: bool, access: Access) -> None:  # noqa: FBT001  # click passes options by name
    """Show the members: where they stand, whose law reaches them, what they lend.

    Exits with 3 when no hub leads here: then READY is what the last one wrote.
    """

    def answer() -> tuple[list[Section], int]:
        hub, found = access.ask(lambda cluster: beside_hub(cluster, cluster_nodes(cluster)))
        if datasets:
            shown = Section("Data sets", DATASET_COLUMNS, [*dataset_rows(found)])
        else:
            shown = Section("Nodes", NODE_COLUMNS, [*map(node_row, found)])
        return [shown, hub_section(hub)], exit_code(hub)

    repeat(answer, output, watch=watch)


@click.command
@with_watch
@with_output
@with_access
def top(output: str, watch: bool, access: Access) -> None:  # noqa: FBT001  # click passes options by name
    """Show GPUs by institution: lent, held by jobs, and the share of the league's GPUs."""

    def answer() -> tuple[list[Section], int]:
        return [Section("GPUs", TOP_COLUMNS, [*gpu_rows(access.ask(cluster_nodes))])], 0

    repeat(answer, output, watch=watch)


async def cluster_nodes(cluster: KubeCluster) -> list[Manifest]:
    """Return all SovereignNodes."""
    return (await cluster.list(SOVEREIGNNODE.path())).items


async def beside_hub(cluster: KubeCluster, question: Awaitable[T]) -> tuple[Finding, T]:
    """Return whether a hub works, and the answer."""
    answer = await question
    return await ask_for_hub(cluster), answer


def hub_section(hub: Finding) -> Section:
    """Say whether a hub works, and what it means for all that is shown above."""
    note = "; what is shown is what it wrote last, and nothing new starts"
    return Section("Hub", lines=[f"Hub: {hub.detail}{note if hub.good is False else ''}"])


def exit_code(hub: Finding) -> int:
    """Return the exit code of a command that shows what a hub wrote."""
    return EXIT_NO_HUB if hub.good is False else 0


async def _read_league(
    cluster: KubeCluster,
) -> tuple[list[Manifest] | None, list[Manifest] | None, list[Manifest] | None]:
    return (
        await list_if_allowed(cluster, SOVEREIGNNODE.path()),
        await list_if_allowed(cluster, COMPUTEPOOL.path()),
        await list_if_allowed(cluster, AIJOB.path()),
    )


def _section(
    title: str,
    columns: Sequence[str],
    rows: list[tuple[object, ...]] | None,
    hidden: str = "you may not list them.",
) -> Section:
    return Section(title, columns, rows or (), hidden=hidden if rows is None else "")


NO_JOBS = "you may not list aijobs; `kubectl hansa explain JOB -n NAMESPACE` shows one."
DATASET_COLUMNS = ("DATA SET", "NODE", "JURISDICTION", "WHERE")
TOP_COLUMNS = ("INSTITUTION", "JURISDICTION", "GPU CLASS", "LENT", "HELD", "OF THE LEAGUE")
NODE_COLUMNS = (
    "NODE",
    "INSTITUTION",
    "STANDS IN",
    "LAW OF",
    "READY",
    "SHOWN",
    "GPUS HELD/LENT",
    "AGENT",
)


def node_row(node: Manifest) -> tuple[object, ...]:
    """Return one line of the table of nodes."""
    spec, status_ = node["spec"], node.get("status", {})
    inventory = status_.get("inventory", [])
    return (
        node["metadata"]["name"],
        spec.get("institution", ""),
        spec.get("jurisdiction", ""),
        ",".join(spec.get("legalControl", [])),
        standing(status_.get("conditions", []), "Ready") or spec.get("accepted", "Pending"),
        (status_.get("assurance") or {}).get("level", "L0"),
        f"{sum(x.get('allocated', 0) for x in inventory)}/{sum(x['total'] for x in inventory)}",
        status_.get("agentVersion", ""),
    )


POOL_COLUMNS = ("POOL", "NODES", "GPUS HELD/TOTAL", "QUEUED", "READY")


def pool_row(pool: Manifest) -> tuple[object, ...]:
    """Return one line of the table of pools."""
    status_ = pool.get("status", {})
    return (
        pool["metadata"]["name"],
        status_.get("nodes", 0),
        f"{status_.get('gpusAllocated', 0)}/{status_.get('gpusTotal', 0)}",
        status_.get("queued", 0),
        standing(status_.get("conditions", []), "Ready"),
    )


def standing(conditions: Sequence[Mapping[str, Any]], kind: str) -> str:
    """Return a condition as one word: True, or its reason, or nothing when it was never set."""
    found = next((c for c in conditions if c.get("type") == kind), None)
    if found is None:
        return ""
    return "True" if found["status"] == "True" else str(found.get("reason", found["status"]))


def job_state(job: Manifest) -> str:
    """Return where a job stands: the last stage it reached, else why it is not placed."""
    conditions = job.get("status", {}).get("conditions", [])
    held = {c["type"] for c in conditions if c.get("status") == "True"}
    for stage in ("Succeeded", "Failed", "Running", "Placed"):
        if stage in held:
            return stage
    return standing(conditions, "Placed") or standing(conditions, "Accepted") or "Pending"


def job_counts(jobs: Sequence[Manifest]) -> list[tuple[object, ...]]:
    """Return pool, state, count; work that goes on first, ended work last."""
    counts = Counter((job["spec"].get("pool", ""), job_state(job)) for job in jobs)
    order = sorted(counts.items(), key=lambda item: (item[0][0], item[0][1] in ENDED, item[0][1]))
    return [(*key, count) for key, count in order]


def gpu_rows(nodes_: Sequence[Manifest]) -> Iterator[tuple[object, ...]]:
    """Yield GPUs by institution, jurisdiction and class, largest holder first."""
    sums: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for node in nodes_:
        spec = node["spec"]
        for gpus in node.get("status", {}).get("inventory", []):
            place = (spec.get("institution", ""), spec.get("jurisdiction", ""), gpus["gpuClass"])
            sums[place][0] += gpus["total"]
            sums[place][1] += gpus.get("allocated", 0)
    league = sum(total for total, _ in sums.values())
    for place, (total, held) in sorted(sums.items(), key=lambda item: (-item[1][0], item[0])):
        yield (*place, total, held, f"{total / league:.0%}" if league else "")


def dataset_rows(nodes_: Sequence[Manifest]) -> Iterator[tuple[object, ...]]:
    """Yield each announced data set with its holder and where it may be processed."""
    for node in nodes_:
        for notice in node.get("status", {}).get("datasets", []):
            location = notice.get("residency", {}).get("location", {})
            denied = [f"not {place}" for place in location.get("deny", [])]
            where = ", ".join([*location.get("allow", ["World"]), *denied])
            yield notice["name"], node["metadata"]["name"], notice["jurisdiction"], where
