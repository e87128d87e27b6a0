"""How large a job may be, what may change in a spec and what may not, as ValidatingAdmissionPolicies of the hub.

Not as CEL rules in the definitions: those also run on every status write, where a spec cannot
change. Measured on a real API server: two to four milliseconds of CPU a write, half its cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hansa.api.aijob import MAX_JOB_BYTES, AIJobSpec
from hansa.api.meta import GROUP, VERSION, Model
from hansa.api.workgrant import WorkGrantSpec


def _fields(model: type[Model], *, but: frozenset[str]) -> tuple[str, ...]:
    names = (info.alias or name for name, info in model.model_fields.items())
    return tuple(name for name in names if name not in but)


SIGNED_FIELDS = _fields(WorkGrantSpec, but=frozenset({"cancel"}))
"""Everything in a grant's ``spec`` that its signatures cover, and they themselves."""
FROZEN_WHEN_PLACED = _fields(
    AIJobSpec, but=frozenset({"priority", "suspend", "ttl_seconds_after_finished"})
)
"""Fields of a job that hold still while a node holds its grant."""


STRUCTURE_BYTES = 16 << 10
"""What names of fields, numbers and short texts of a job come to at most, as JSON."""
MAX_TEXT_BYTES = MAX_JOB_BYTES - STRUCTURE_BYTES


def policies() -> tuple[dict[str, Any], ...]:
    """Return the policies; the chart binds them."""
    return (*_change_policies(), _size_policy())


def _size_policy() -> dict[str, Any]:
    """Refuse a job that is too large; one that is there already may be changed, and not grow.

    CEL cannot see an object as JSON, so the texts that may be long are counted.
    """
    limits = f"at most {MAX_TEXT_BYTES} bytes of UTF-8"
    return policy(
        "aijob-size",
        "aijobs",
        operations=["CREATE", "UPDATE"],
        variables=[
            {"name": "before", "expression": f"oldObject == null ? 0 : {_text('oldObject')}"},
            {"name": "now", "expression": _text("object")},
        ],
        validations=[
            {
                "expression": f"variables.now <= {MAX_TEXT_BYTES} || variables.now <= variables.before",
                "message": "spec.entrypoint, spec.env, spec.residency and the metadata may have"
                f" {limits} together: put long input into the image or a data set",
                "reason": "Invalid",
            }
        ],
    )


def _text(thing: str) -> str:
    """Return the CEL expression for the bytes of all texts of a job that may be long."""
    meta, spec = f"{thing}.metadata", f"{thing}.spec"
    each = "8"  # quotes, commas and the like
    named = f"bytes(e.name).size() + bytes(e.?value.orValue('')).size() + 3 * {each}"
    pairs = "{0}.?{1}.orValue({{}})"
    parts = [
        f"{spec}.?entrypoint.orValue([]).map(a, bytes(a).size() + {each}).sum()",
        f"{spec}.?env.orValue([]).map(e, {named}).sum()",
    ]
    parts += [
        f"{spec}.?residency.?{law}.?{side}.orValue([]).map(p, bytes(p).size() + {each}).sum()"
        for law in ("location", "legalControl")
        for side in ("allow", "deny")
    ]
    for name in ("labels", "annotations"):
        table = pairs.format(meta, name)
        parts.append(f"{table}.map(k, bytes(k).size() + bytes({table}[k]).size() + {each}).sum()")
    parts.append(f"{meta}.?finalizers.orValue([]).map(f, bytes(f).size() + {each}).sum()")
    parts.append(f"{meta}.?ownerReferences.orValue([]).size() * 512")
    return " + ".join(parts)


def _change_policies() -> tuple[dict[str, Any], ...]:
    return (
        _frozen(
            "aijobs",
            FROZEN_WHEN_PLACED,
            message="spec.{} cannot be changed while the job holds a node (status.node is set); only"
            " suspend and priority can. Delete the job and apply it anew",
            unless="!has(oldObject.status) || !has(oldObject.status.node)"
            " || oldObject.status.node == ''",
        ),
        _frozen(
            "workgrants",
            SIGNED_FIELDS,
            message="spec.{} is signed and cannot be changed; only cancel can",
        ),
    )


def _frozen(
    plural: str, fields: tuple[str, ...], *, message: str, unless: str = ""
) -> dict[str, Any]:
    return policy(
        plural,
        plural,
        operations=["UPDATE"],
        validations=[
            {
                "expression": _unchanged(name),
                "message": message.format(name),
                "reason": "Invalid",
            }
            for name in fields
        ],
        conditions=[{"name": "placed", "expression": f"!({unless})"}] if unless else [],
    )


def policy(
    name: str,
    plural: str,
    *,
    operations: list[str],
    validations: list[dict[str, str]],
    variables: Sequence[dict[str, str]] = (),
    conditions: Sequence[dict[str, str]] = (),
) -> dict[str, Any]:
    """Return a policy about one kind of ours."""
    rules = {
        "apiGroups": [GROUP],
        "apiVersions": [VERSION],
        "operations": operations,
        "resources": [plural],
    }
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rules]},
        "validations": validations,
    }
    spec |= {"variables": list(variables)} if variables else {}
    spec |= {"matchConditions": list(conditions)} if conditions else {}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": f"{name}.{GROUP}"},
        "spec": spec,
    }


def _unchanged(name: str) -> str:
    new, old = f"object.spec.{name}", f"oldObject.spec.{name}"
    return f"has({new}) ? has({old}) && {new} == {old} : !has({old})"
