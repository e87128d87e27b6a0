"""The member's law applied to a grant: ``judge`` and its table of rules.

Every rule looks at one thing and says what it saw; none returns a bare bool. All rules of a group
are always run, so that a data owner sees every obstacle at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from hansa.api.memberpolicy import Hours, MemberPolicySpec
from hansa.grants import owners, trust
from hansa.grants.capacity import gpu_objection, pick_class
from hansa.grants.epochs import stale
from hansa.grants.exports.permits import shut_in
from hansa.grants.facts import Case, Facts, Judgement, Proposal
from hansa.grants.reasons import MemberReason, Objection, gravest_first
from hansa.grants.territory import residency_rules
from hansa.model.times import from_rfc3339

Rule = Callable[[Case], Iterator[Objection]]


def judge(wire: Mapping[str, Any], policy: MemberPolicySpec | None, facts: Facts) -> Judgement:
    """Judge a grant's wire ``spec``. Pure; never raises, whatever the hub wrote.

    1. Read it. 2. Is it for us, and from a hub we trust? 3. Is it for now? 4. Does the law allow
    it? 5. Can the cluster do it?
    """
    proposal = trust.read(wire)
    if isinstance(proposal, Objection):
        return Judgement(None, (proposal,))
    if policy is None:
        return Judgement(proposal, (_POLICY_MISSING,))
    case = Case(proposal, policy, facts)
    for group in (_TRUST, _TIME, _LAW):
        objections = tuple(objection for rule in group for objection in rule(case))
        if objections:
            return Judgement(proposal, gravest_first(objections))
    return Judgement(proposal, (), pick_class(case.spec, facts.stock))


def distrust(proposal: Proposal, policy: MemberPolicySpec, facts: Facts) -> tuple[Objection, ...]:
    """Return why a grant is not for us, or from no hub we trust; none where it is both."""
    case = Case(proposal, policy, facts)
    return tuple(objection for rule in _TRUST for objection in rule(case))


_POLICY_MISSING = Objection(
    MemberReason.POLICY_MISSING,
    "this institution has no MemberPolicy named local, so nothing may run; its platform team has to"
    " apply one",
)


def _addressed(case: Case) -> Iterator[Objection]:
    if case.spec.node != case.facts.node:
        said = f"the grant is for node {case.spec.node}, this is {case.facts.node}"
        yield Objection(MemberReason.WRONG_NODE, said)
    if case.spec.audience != case.facts.key_id:
        yield Objection(
            MemberReason.WRONG_NODE,
            f"the grant is said to key {case.spec.audience}, this node's is {case.facts.key_id}: it"
            " is another league's, or the hub has pinned an old key of this node",
        )


def _signed(case: Case) -> Iterator[Objection]:
    objection = trust.hub_signature(case.proposal, case.policy)
    if objection is not None:
        yield objection


def _clock(case: Case) -> Iterator[Objection]:
    skew, limit = case.facts.hub_skew_s, case.facts.bounds.clock_skew_s
    if skew is not None and abs(skew) <= limit:
        return
    seen = "is unknown" if skew is None else f"is {abs(skew):.0f} s off"
    yield Objection(
        MemberReason.CLOCK_SKEW,
        f"this member's clock against the hub's {seen} (limit {limit:.0f} s), so expiry cannot be"
        " judged; synchronise the clocks (NTP)",
    )


def _epoch(case: Case) -> Iterator[Objection]:
    facts, epoch = case.facts, case.spec.epoch
    issued_s = from_rfc3339(case.spec.not_before) or 0.0
    issued_s -= facts.bounds.clock_skew_s
    why = stale(facts.seen, epoch, case.proposal.digest, issued_s)
    if why:
        yield Objection(MemberReason.STALE_EPOCH, why)
    others = [live for live in facts.live_epochs if live != epoch]
    if others:
        yield Objection(
            MemberReason.PREVIOUS_RUN_LIVES,
            f"epoch {max(others)} of this job is not gone from here yet; the next one starts only"
            " after it",
        )


def _withdrawn(case: Case) -> Iterator[Objection]:
    if case.spec.cancel == "Stop" or case.spec.job_spec.suspend:
        yield Objection(MemberReason.WITHDRAWN, "the hub has withdrawn the grant")


def _validity(case: Case) -> Iterator[Objection]:
    """Check the window; an expired grant stays expired here even while it is still running."""
    begin, end = from_rfc3339(case.spec.not_before), from_rfc3339(case.spec.not_after)
    now, bounds = case.facts.now_s, case.facts.bounds
    if begin is None or end is None or not 0 <= end - begin <= bounds.grant_validity_s:
        yield Objection(
            MemberReason.MALFORMED,
            "notBefore and notAfter must be timestamps in order, at most"
            f" {bounds.grant_validity_s:.0f} s apart",
        )
        return
    if now > end:
        said = f"the grant ended at {case.spec.not_after}; the hub has to write a new one"
        yield Objection(MemberReason.EXPIRED, said)
    if now < begin - bounds.clock_skew_s:
        said = f"the grant begins at {case.spec.not_before}; wait, or check the clocks"
        yield Objection(MemberReason.NOT_YET_VALID, said)


def _switch(case: Case) -> Iterator[Objection]:
    if case.policy.switch == "Stopped":
        yield Objection(MemberReason.STOPPED, "the institution has stopped all league work")
    if case.policy.switch == "Paused":
        yield Objection(MemberReason.PAUSED, "the institution takes no new work at the moment")


def _residency(case: Case) -> Iterator[Objection]:
    """Judge location and legal control, for the job and for each data set, on our own."""
    for rule in residency_rules(case.spec, case.policy):
        location, control_rule = rule.residency.location, rule.residency.legal_control
        why = rule.territory.objection(location, case.policy.jurisdiction)
        if why:
            said = f"location rule of {rule.whose}: {why}"
            yield Objection(MemberReason.RESIDENCY_DENIED, said)
        for control in case.policy.legal_control:
            why = rule.territory.objection(control_rule, control)
            if why:
                said = f"legal control rule of {rule.whose}: {why}"
                yield Objection(MemberReason.LEGAL_CONTROL_DENIED, said)


def _tenant(case: Case) -> Iterator[Objection]:
    if case.policy.tenants and case.spec.institution not in case.policy.tenants:
        yield Objection(
            MemberReason.TENANT_NOT_ACCEPTED,
            f"jobs of {case.spec.institution} are not accepted here (MemberPolicy spec.tenants)",
        )


def _workload(case: Case) -> Iterator[Objection]:
    job = case.spec.job_spec
    if job.workload not in case.policy.workloads:
        said = f"workload {job.workload} is not accepted here (MemberPolicy spec.workloads)"
        yield Objection(MemberReason.WORKLOAD_NOT_ACCEPTED, said)
    if job.workload not in case.facts.served:
        said = f"this agent cannot run {job.workload} work; it runs {_listed(case.facts.served)}"
        yield Objection(MemberReason.WORKLOAD_NOT_ACCEPTED, said)


def _listed(names: frozenset[str]) -> str:
    return " and ".join(sorted(names)) or "none"


def _image(case: Case) -> Iterator[Objection]:
    image = case.spec.job_spec.image
    if not any(_under(image, prefix) for prefix in case.policy.image_registries):
        yield Objection(
            MemberReason.IMAGE_NOT_ALLOWED,
            f"{image.partition('@')[0]} is under none of the registries accepted here (MemberPolicy"
            " spec.imageRegistries)",
        )


def _under(image: str, prefix: str) -> bool:
    """Tell whether ``image`` lies under ``prefix``, ending at a path, tag or digest boundary.

    A colon with a slash behind it begins a port, and another port is another registry. What climbs is under none.
    """
    if not image.startswith(prefix) or ".." in image:
        return False
    rest = image[len(prefix) :]
    if prefix.endswith("/") or rest[:1] in {"/", "@"}:
        return True
    return (prefix.endswith(":") or rest[:1] == ":") and "/" not in rest


def _datasets(case: Case) -> Iterator[Objection]:
    held = {dataset.name: dataset for dataset in case.policy.datasets}
    for source in case.spec.job_spec.data:
        dataset = held.get(source.name)
        if dataset is None:
            said = f"no data set named {source.name} is held here (MemberPolicy spec.datasets)"
            yield Objection(MemberReason.DATASET_UNKNOWN, said)
        elif dataset.tenants and case.spec.institution not in dataset.tenants:
            said = f"data set {source.name} is not lent to {case.spec.institution}"
            yield Objection(MemberReason.DATASET_NOT_LENT, said)
        elif source.name in case.facts.unusable_data:
            said = f"data set {source.name}: {case.facts.unusable_data[source.name]}"
            yield Objection(MemberReason.DATASET_UNKNOWN, said)


def _secrets(case: Case) -> Iterator[Objection]:
    lent = {s.name for s in case.policy.secrets if case.spec.institution in s.tenants}
    for use in case.spec.job_spec.secrets:
        if use.name not in lent:
            said = f"secret {use.name} is not lent to {case.spec.institution}"
            yield Objection(MemberReason.SECRET_NOT_LENT, said)


def _packages(case: Case) -> Iterator[Objection]:
    if case.spec.job_spec.runtime_env is not None and case.policy.package_index is None:
        yield Objection(
            MemberReason.PACKAGES_NOT_ALLOWED,
            "the job installs packages (spec.runtimeEnv), and no index is named here (MemberPolicy"
            " spec.packageIndex); build them into the image",
        )


def _runtime(case: Case) -> Iterator[Objection]:
    asked, most = case.spec.job_spec.max_runtime_seconds, case.policy.max_runtime_seconds
    if asked > most:
        said = f"maxRuntimeSeconds {asked} is longer than the {most} accepted here"
        yield Objection(MemberReason.RUNTIME_TOO_LONG, said)


def _gpus(case: Case) -> Iterator[Objection]:
    if case.facts.readiness.disk_full:
        # Full machines count as not lent; the cause is the disk, and it passes.
        return
    why = gpu_objection(case.spec, case.facts.stock)
    if why:
        yield Objection(MemberReason.GPUS_NOT_LENT, why)


def _assurance(case: Case) -> Iterator[Objection]:
    if case.policy.assurance < case.spec.job_spec.assurance:
        yield Objection(
            MemberReason.ASSURANCE_TOO_LOW,
            f"the job asks for {case.spec.job_spec.assurance}, this institution declares"
            f" {case.policy.assurance}",
        )


def _hours(case: Case) -> Iterator[Objection]:
    hour = datetime.fromtimestamp(case.facts.now_s, UTC).hour
    hours = case.policy.hours
    if not _open_at(hours, hour):
        said = f"work starts only from {hours.from_hour}:00 to {hours.to_hour}:00 UTC"
        yield Objection(MemberReason.OUTSIDE_HOURS, said)


def _open_at(hours: Hours, hour: int) -> bool:
    if hours.from_hour == hours.to_hour:
        return True
    if hours.from_hour < hours.to_hour:
        return hours.from_hour <= hour < hours.to_hour
    return hour >= hours.from_hour or hour < hours.to_hour


def _room(case: Case) -> Iterator[Objection]:
    if case.facts.running_jobs >= case.policy.max_concurrent_jobs:
        said = (
            f"{case.facts.running_jobs} jobs run here already (MemberPolicy spec.maxConcurrentJobs)"
        )
        yield Objection(MemberReason.TOO_MANY_JOBS, said)


def _ray(case: Case) -> Iterator[Objection]:
    version, floor = case.spec.job_spec.ray.version, case.facts.bounds.ray_floor
    if release(version) < release(floor):
        said = f"Ray {version} can be taken over remotely; build the image with {floor} or newer"
        yield Objection(MemberReason.RAY_TOO_OLD, said)


def release(version: str) -> tuple[int, ...]:
    """Return a release number as integers; text after the digits of a part is ignored.

    >>> release("v1.6.1-rc.0")
    (1, 6, 1)
    """
    parts = version.removeprefix("v").partition("-")[0].partition("+")[0].split(".")
    return tuple(int(part) for part in parts if part.isascii() and part.isdigit())


def _ready(case: Case) -> Iterator[Objection]:
    readiness = case.facts.readiness
    is_shut_in = shut_in(case.spec.job_spec, case.policy)
    for reason, why in (
        (MemberReason.KUBERAY_MISSING, readiness.kuberay_missing),
        (MemberReason.KUBERAY_TOO_OLD, readiness.kuberay_too_old),
        (MemberReason.RESOLVER_MISSING, readiness.resolver_missing if is_shut_in else ""),
        (MemberReason.DISK_FULL, readiness.disk_full),
        (MemberReason.CANARY_ADMITTED, readiness.canary_open),
        (MemberReason.LEDGER_BEHIND, readiness.ledger_behind),
    ):
        if why:
            yield Objection(reason, why)


_TRUST: tuple[Rule, ...] = (_addressed, _signed)
_TIME: tuple[Rule, ...] = (_clock, _epoch, _withdrawn, _validity, _switch)
_LAW: tuple[Rule, ...] = (
    *(
        _residency,
        owners.owner_objections,
        _tenant,
        _workload,
        _image,
        _datasets,
        _secrets,
        _packages,
        _runtime,
    ),
    *(_gpus, _assurance, _hours, _room, _ray, _ready),
)
RULES: tuple[Rule, ...] = (*_TRUST, *_TIME, *_LAW)
