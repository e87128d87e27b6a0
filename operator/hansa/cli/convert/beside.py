"""What stands beside a job in a manifest, and has no place in an AIJob: each object is named, with what to do about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from hansa.cli.convert.taking import Note
from hansa.ports import Manifest

SERVING = "it serves until somebody removes it, and an AIJob ends: ask its model by a RayJob (batch inference)"
STORAGE = "data sets are lent by members: spec.data; a run's own volume is HANSA_CHECKPOINTS"
ADVICE = {
    "RayService": SERVING,
    "Secret": "members keep secrets and lend them by name (spec.secrets): give it to the institutions that may run the job",
    "PersistentVolumeClaim": STORAGE,
    "PersistentVolume": STORAGE,
    "ConfigMap": "no pod reads it: put texts that the job needs into spec.files",
}
OTHERS = "an AIJob takes nothing along: a run has a namespace of its own, which the member makes"


def notes_beside(documents: Iterable[Manifest], jobs: Iterable[Manifest]) -> Iterator[Note]:
    """Yield a note for each object that is none of ``jobs``; ConfigMaps that these name are told of there."""
    converted = [*jobs]
    named = json.dumps(converted, default=str)
    for document in documents:
        kind = str(document.get("kind") or "")
        metadata = document.get("metadata")
        name = str(metadata.get("name") or "") if isinstance(metadata, dict) else ""
        is_read = kind == "ConfigMap" and json.dumps(name) in named
        if document not in converted and not is_read:
            yield Note(f"{kind or '(no kind)'} {name}", ADVICE.get(kind, OTHERS))
