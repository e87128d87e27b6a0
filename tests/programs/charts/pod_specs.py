"""The pods that a rendered chart asks for."""

from __future__ import annotations

from collections.abc import Iterator


def pod_specs(documents: list[dict]) -> Iterator[tuple[str, dict]]:
    for document in documents:
        if document["kind"] in {"Deployment", "DaemonSet", "Job"}:
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]
