"""What may change in a spec and what may not, as ValidatingAdmissionPolicies of the hub.

Not as CEL rules in the definitions: those also run on every status write, where a spec cannot
change. Measured on a real API server: two to four milliseconds of CPU a write, half its cost.
"""

from __future__ import annotations

from typing import Any

from hansa.api.aijob import AIJobSpec
from hansa.api.meta import GROUP, VERSION, Model
from hansa.api.workgrant import WorkGrantSpec


def _fields(model: type[Model], *, but: frozenset[str]) -> tuple[str, ...]:
    names = (info.alias or name for name, info in model.model_fields.items())
    return tuple(name for name in names if name not in but)


SIGNED_FIELDS = _fields(WorkGrantSpec, but=frozenset({"cancel"}))
"""Everything in a grant's ``spec`` that its signatures cover, and they themselves."""
FROZEN_WHEN_PLACED = _fields(AIJobSpec, but=frozenset({"priority", "suspend"}))
"""Fields of a job that hold still while a node holds its grant."""


def change_policies() -> tuple[dict[str, Any], ...]:
    """Return the policies; the chart binds them."""
    return (
        _policy(
            "aijobs",
            FROZEN_WHEN_PLACED,
            message="spec.{} cannot be changed while the job holds a node (status.node is set); only"
            " suspend and priority can. Delete the job and apply it anew",
            unless="!has(oldObject.status) || !has(oldObject.status.node)"
            " || oldObject.status.node == ''",
        ),
        _policy(
            "workgrants",
            SIGNED_FIELDS,
            message="spec.{} is signed and cannot be changed; only cancel can",
        ),
    )


def _policy(
    plural: str, fields: tuple[str, ...], *, message: str, unless: str = ""
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": [GROUP],
                    "apiVersions": [VERSION],
                    "operations": ["UPDATE"],
                    "resources": [plural],
                }
            ]
        },
        "validations": [
            {
                "expression": _unchanged(name),
                "message": message.format(name),
                "reason": "Invalid",
            }
            for name in fields
        ],
    }
    if unless:
        spec["matchConditions"] = [{"name": "placed", "expression": f"!({unless})"}]
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": spec,
    }


def _unchanged(name: str) -> str:
    new, old = f"object.spec.{name}", f"oldObject.spec.{name}"
    return f"has({new}) ? has({old}) && {new} == {old} : !has({old})"
