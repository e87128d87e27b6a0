"""The demo's jobs: applied with kubectl, followed, and told as they end.

Each step states what must be true and fails loudly when it is not: a demo that cannot fail shows
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from e2e.demo import jobs
from e2e.demo.audit import Allowed
from e2e.demo.jobs import Applied, JobOutcome, Manifest
from e2e.demo.territory import allowed_machines, allowed_nodes
from e2e.demo.verification.chapter import Chapter
from e2e.testbed.cluster.cluster import Cluster
from e2e.testbed.host.progress import Progress

SCREENING = "1-screening-estonia.yaml"
DIGITS = "2-digits-eu.yaml"
NOWHERE = "3-nowhere.yaml"
REFUSED = "4-refused-then-elsewhere.yaml"
UNATTENDED = "5-screening-without-hub.yaml"


class StoryError(AssertionError):
    """The league did not do what the story says."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the story needs of a running league."""

    hub: Cluster
    members: Mapping[str, Cluster]
    policies: Mapping[str, Manifest]
    image: str
    stop_hub: Callable[[], None]
    start_hub: Callable[[], None]
    progress: Progress
    real_pods: bool = True
    verification: Chapter | None = None
    """None where pods are simulated: there are no results to compare."""


def tell(scene: Scene) -> list[JobOutcome]:
    """Run all jobs; return the outcomes of the first five."""
    if scene.verification is not None:
        scene.verification.begin()
    first = [jobs.apply(scene.hub, file, scene.image) for file in (SCREENING, NOWHERE, REFUSED)]
    screening, nowhere, refused = first
    outcomes = {}
    with scene.progress.step("job 3: no node may host it; each node has its own reason"):
        outcomes[NOWHERE] = _nowhere(scene, nowhere)
    with scene.progress.step("job 1: the hospital's study stays in Estonia"):
        outcomes[SCREENING] = _succeeds(scene, screening, at="tartu")
    with scene.progress.step("job 4: refused by the member that was chosen, run elsewhere"):
        outcomes[REFUSED] = _refused(scene, refused)
    if scene.verification is not None:
        scene.verification.conclude()
    digits = jobs.apply(scene.hub, DIGITS, scene.image)
    with scene.progress.step("job 2: the cheapest node that is eligible"):
        outcomes[DIGITS] = _succeeds(scene, digits, at="riga")
    unattended = jobs.apply(scene.hub, UNATTENDED, scene.image)
    with scene.progress.step("job 5: the hub is stopped while it runs"):
        outcomes[UNATTENDED] = _unattended(scene, unattended)
    return [outcomes[file] for file in (SCREENING, DIGITS, NOWHERE, REFUSED, UNATTENDED)]


def places(scene: Scene) -> dict[str, Allowed]:
    """Return where each job that the hub has may be, by uid; also in the middle of the story.

    What a job may do its example says, and of an audit the example of the job that it runs again.
    """
    examples = jobs.load_examples(scene.image)
    found = {}
    for job in scene.hub.get("aijobs", "--all-namespaces")["items"]:
        meta, audit = job["metadata"], job["spec"].get("audit", {})
        manifest = examples.get((meta["namespace"], audit.get("of", meta["name"])))
        if manifest is not None:
            found[meta["uid"]] = _places(scene, manifest)
    return found


def _nowhere(scene: Scene, job: Applied) -> JobOutcome:
    told = jobs.wait_for(
        scene.hub,
        job,
        lambda now: len(now.get("status", {}).get("verdicts", ())) >= len(scene.members),
        what="a verdict for every node",
    )
    outcome = _outcome(scene, job, told)
    _check(outcome.node is None and outcome.outcome == "Pending", f"{job.name} was placed")
    expected = {
        "tartu: NoSuchAccelerator",
        "riga: LegalControlDenied",
        "lisbon: ResidencyDenied",
    }
    _check(set(outcome.reasons) == expected, f"verdicts were {outcome.reasons}")
    explained = jobs.explain(scene.hub, job)
    scene.progress.note(f"$ kubectl hansa explain {job.name} -n {job.namespace}\n{explained}")
    _check(
        all(verdict.split(": ")[1] in explained for verdict in expected),
        f"kubectl hansa explain does not name the rules:\n{explained}",
    )
    return outcome


def _succeeds(scene: Scene, job: Applied, *, at: str) -> JobOutcome:
    told = jobs.wait_for(scene.hub, job, jobs.finished, what="its end")
    outcome = _outcome(scene, job, told)
    _check(outcome.outcome == "Succeeded", f"{job.name}: {told['status']}")
    _check(outcome.node == at, f"{job.name} ran at {outcome.node}, not at {at}")
    _check(outcome.result is not None or not scene.real_pods, f"{job.name} told no result")
    return outcome


def _refused(scene: Scene, job: Applied) -> JobOutcome:
    outcome = _succeeds(scene, job, at="riga")
    refusal = "lisbon: WorkloadNotAccepted"
    _check(refusal in outcome.reasons, f"{job.name}: no refusal in {outcome.reasons}")
    return outcome


def _unattended(scene: Scene, job: Applied) -> JobOutcome:
    jobs.wait_for(scene.hub, job, lambda now: jobs.holds(now, "Running"), what="it to run")
    scene.stop_hub()
    scene.progress.note("the hub is stopped; the job runs on")
    member = scene.members["tartu"]
    jobs.wait_until_done_at(member, job)
    told = jobs.read(scene.hub, job)
    _check(not jobs.finished(told), f"{job.name} was reported although the hub is stopped")
    scene.progress.note("the job has ended at the member; the hub comes back")
    scene.start_hub()
    return _succeeds(scene, job, at="tartu")


def _allowed(scene: Scene, manifest: Manifest) -> tuple[str, ...]:
    nodes: Sequence[Manifest] = scene.hub.get("sovereignnodes")["items"]
    return allowed_nodes(manifest, nodes, scene.policies)


def _places(scene: Scene, manifest: Manifest) -> Allowed:
    nodes = _allowed(scene, manifest)
    machines = {
        (name, machine)
        for name in nodes
        for machine in allowed_machines(
            manifest, scene.policies[name], scene.members[name].get("nodes")["items"]
        )
    }
    return Allowed(frozenset(nodes), frozenset(machines))


def _outcome(scene: Scene, job: Applied, told: Manifest) -> JobOutcome:
    return jobs.outcome_of(job, told, _allowed(scene, jobs.load_example(job.file, scene.image)))


def _check(fact: bool, otherwise: str) -> None:  # noqa: FBT001  # an assertion with a sentence
    if not fact:
        raise StoryError(otherwise)
