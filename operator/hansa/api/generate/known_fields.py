"""Refuses fields that a spec does not have, as ValidatingAdmissionPolicies.

A misspelt field that guards something (``residancy``, ``denny``, ``swich``) must not vanish: the API
server would prune it before any rule of the definition, any policy and any reader could see it, and
what remains would allow more than was meant. So the definitions of the kinds that people write keep
unknown fields below ``spec``; these policies refuse them by name, and where the policies are not
installed, whoever reads the object refuses it as unreadable.
"""

from __future__ import annotations

from typing import Any

from hansa.api.generate.admission import policy

Schema = dict[str, Any]
KEEP = {"x-kubernetes-preserve-unknown-fields": True}
"""What makes the API server keep unknown fields of one object; of those inside it, it does not."""


def keeping_unknown(schema: Schema) -> Schema:
    """Return ``schema`` such that no object in it is pruned."""
    out = dict(schema)
    if "items" in out:
        out["items"] = keeping_unknown(out["items"])
    if "properties" in out:
        inner = {name: keeping_unknown(child) for name, child in out["properties"].items()}
        out |= KEEP | {"properties": inner}
    return out


def known_fields_policy(plural: str, spec: Schema) -> dict[str, Any]:
    """Return the policy that refuses what is in no ``properties`` of ``spec``."""
    found = _unknown(spec, "object.spec", "spec.", depth=0)
    return policy(
        f"known-fields.{plural}",
        plural,
        operations=["CREATE", "UPDATE"],
        variables=[{"name": "unknown", "expression": " + ".join(found)}],
        validations=[
            {
                "expression": "size(variables.unknown) == 0",
                "messageExpression": "'[known-fields] there is no field '"
                f" + variables.unknown.join(', ') + '; kubectl explain {plural}.spec lists them'",
                "reason": "Invalid",
            }
        ],
    )


def _unknown(schema: Schema, value: str, path: str, *, depth: int) -> list[str]:
    """Return CEL lists of the unknown fields in ``value``; ``path``: where that is."""
    names = ", ".join(f"'{name}'" for name in schema["properties"])
    field = f"f{depth}"
    found = [
        f"dyn({value}).filter({field}, !({field} in [{names}])).map({field}, '{path}' + {field})"
    ]
    for name, child in schema["properties"].items():
        if "properties" in child:
            inner = f"dyn({value}).?{name}.orValue({{}})"
            found += _unknown(child, inner, f"{path}{name}.", depth=depth + 1)
        elif "properties" in child.get("items", {}):
            item = f"i{depth}"
            each = _unknown(child["items"], item, f"{path}{name}[].", depth=depth + 1)
            lists = f"dyn({value}).?{name}.orValue([])"
            found.append(f"{lists}.map({item}, {' + '.join(each)}).flatten()")
    return found
