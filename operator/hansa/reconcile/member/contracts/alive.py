"""The dead-man's switch of a run: a ConfigMap in its pods that says until when they may live.

A file and not a Lease, because pods of a job have no token with which to read one. The kubelet brings
a change into the pods within a minute and a half; on a machine cut off from its control plane the file
stays as it was and goes stale. Two read it: the kubelet's probe, which the job cannot end, and the
launcher, which also goes by a clock that nobody can set back.
"""

from __future__ import annotations

from typing import Any

from hansa.model.times import from_rfc3339, rfc3339
from hansa.ports import Manifest

NAME = "alive"
"""Of the ConfigMap, and of the volume."""
FOLDER = "/hansa-alive"
UNTIL = "until"
"""The file: until when, and when that was said, in whole seconds since the Unix epoch, on one line.

One file and not two, so that both numbers are of one renewal."""
BEGUN = "begun"
"""Key, and so a file: since when the run runs, written once its command has begun. A head that is killed begins anew,
and then nothing else says that it did before."""
PROBE = f'read until said < {FOLDER}/{UNTIL} && [ "$(date +%s)" -lt "$until" ]'
PROBE_PERIOD_S, PROBE_TIMEOUT_S, PROBE_FAILURES, PROBE_GRACE_S = 5, 10, 3, 5
"""A stale file shows three times within 15 s, then the container has the grace to end."""


def validity(now_s: float, until_s: float) -> dict[str, str]:
    """Return the ConfigMap's data."""
    return {UNTIL: f"{int(until_s)} {int(now_s)}\n"}


def read_until(config_map: Any) -> float | None:
    """Return until when a run's pods may live; None where it cannot be read."""
    data = config_map.get("data") if isinstance(config_map, dict) else None
    text = data.get(UNTIL) if isinstance(data, dict) else None
    words = text.split() if isinstance(text, str) else []
    return float(words[0]) if words and words[0].isascii() and words[0].isdigit() else None


def begun(since_s: float) -> dict[str, str]:
    """Return what is written beside it once the command has begun."""
    return {BEGUN: rfc3339(since_s)}


def read_begun(config_map: Any) -> float | None:
    """Return since when a run runs whose command has begun; None: nobody has seen that."""
    data = config_map.get("data") if isinstance(config_map, dict) else None
    return from_rfc3339(data.get(BEGUN)) if isinstance(data, dict) else None


def volume() -> Manifest:
    """Return the volume; never by subPath, which would not follow the ConfigMap."""
    return {"name": NAME, "configMap": {"name": NAME}}


def mount() -> Manifest:
    """Return where Ray's containers have the file."""
    return {"name": NAME, "mountPath": FOLDER, "readOnly": True}


def probe() -> Manifest:
    """Return the liveness probe of Ray's containers.

    In place of KubeRay's, which asks Ray's own health: ``ray start --block`` ends with Ray anyway.
    """
    return {
        "exec": {"command": ["/bin/sh", "-c", PROBE]},
        "periodSeconds": PROBE_PERIOD_S,
        "timeoutSeconds": PROBE_TIMEOUT_S,
        "failureThreshold": PROBE_FAILURES,
        "terminationGracePeriodSeconds": PROBE_GRACE_S,
    }
