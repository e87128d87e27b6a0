"""What of a run may leave, under the member's law: one function, asked when a run ends and at a release.

The strictest rule counts over all data sets that the job reads and over its tenant. A data set without a rule of
its own is under the institution's, which is to deny; a tenant's rule can only narrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hansa.api.aijob import AIJobSpec
from hansa.api.memberpolicy import Dataset, Exports, MemberPolicySpec
from hansa.grants.trust import by_id

Verdict: TypeAlias = Literal["Allow", "Tail", "OnRelease", "Deny"]
"""``OnRelease`` is said of results only, ``Tail`` of logs only."""
_STRICTNESS: dict[Verdict, int] = {"Allow": 0, "Tail": 1, "OnRelease": 2, "Deny": 3}
_DENIED = Exports()


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose run it is, as far as exports go."""

    institution: str
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Releaser:
    """One of these keys has to sign before a result leaves."""

    whose: str
    """What they decide about, for a person."""
    keys: Mapping[str, str]
    """Key id → raw public key, base64."""


@dataclass(frozen=True, slots=True)
class Permit:
    """What may become of one export, and the rule of the policy that says so."""

    verdict: Verdict
    rule: str
    """Field of the MemberPolicy with its value, for a person."""


@dataclass(frozen=True, slots=True)
class Exportable:
    """What may leave of one run."""

    result: Permit
    logs: Permit
    releasers: tuple[Releaser, ...] = ()
    """All of them have to sign where ``result`` says ``OnRelease``."""

    @property
    def shows_tail(self) -> bool:
        """Whether the log's end may leave when the run has ended, and so may words that quote it."""
        return self.logs.verdict in {"Allow", "Tail"}

    @property
    def shows_log(self) -> bool:
        """Whether any part of the log may leave."""
        return self.logs.verdict == "Allow"


@dataclass(frozen=True, slots=True)
class _Rule:
    where: str
    exports: Exports
    dataset: Dataset | None = None


def exportable(subject: Subject, policy: MemberPolicySpec | None) -> Exportable:
    """Return what may leave of a run; where there is no policy, nothing."""
    if policy is None:
        denied = Permit("Deny", "there is no MemberPolicy")
        return Exportable(denied, denied)
    rules = list(_rules(subject, policy))
    result = _strictest((r.exports.result, f"{r.where}.result: {r.exports.result}") for r in rules)
    logs = _strictest((r.exports.logs, f"{r.where}.logs: {r.exports.logs}") for r in rules)
    return Exportable(result, logs, tuple(_releasers(rules, policy)))


def shut_in(job: AIJobSpec, policy: MemberPolicySpec) -> bool:
    """Tell whether a run may reach no resolver that forwards: a question for a name is a message."""
    return bool(job.data) or not policy.egress


def _rules(subject: Subject, policy: MemberPolicySpec) -> Iterator[_Rule]:
    """Yield the rules that bind the run: at least one."""
    held = {dataset.name: dataset for dataset in policy.datasets}
    for name in dict.fromkeys(subject.datasets):
        dataset = held.get(name)
        if dataset is None:
            yield _Rule(f"spec.datasets has no {name}, so exports", _DENIED)
        elif dataset.exports is not None:
            yield _Rule(f"spec.datasets[{name}].exports", dataset.exports, dataset)
        else:
            yield _Rule("spec.exports", policy.exports, dataset)
    tenant = next((t for t in policy.tenant_exports if t.tenant == subject.institution), None)
    if tenant is not None:
        yield _Rule(f"spec.tenantExports[{tenant.tenant}]", tenant)
    if not subject.datasets and tenant is None:
        yield _Rule("spec.exports", policy.exports)


def _strictest(said: Iterable[tuple[Verdict, str]]) -> Permit:
    verdict, rule = max(said, key=lambda one: _STRICTNESS[one[0]])
    return Permit(verdict, rule)


def _releasers(rules: Iterable[_Rule], policy: MemberPolicySpec) -> Iterator[Releaser]:
    """Yield who has to sign: an owner of each data set under ``OnRelease``, else any trusted owner."""
    for rule in rules:
        if rule.exports.result != "OnRelease":
            continue
        owners = rule.dataset.owners if rule.dataset is not None else ()
        keys = [key for key in policy.trusted_owners if key.name in owners or not owners]
        whose = f"data set {rule.dataset.name}" if rule.dataset is not None else rule.where
        yield Releaser(whose, by_id(keys))
