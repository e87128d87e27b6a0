"""What may leave a member."""

from __future__ import annotations

from hansa.grants.exports.permits import Exportable, Permit


def may(result: str = "Allow", logs: str = "Deny") -> Exportable:
    return Exportable(
        Permit(result, f"spec.exports.result: {result}"),  # type: ignore[arg-type]
        Permit(logs, f"spec.exports.logs: {logs}"),  # type: ignore[arg-type]
    )
