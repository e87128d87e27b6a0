"""kopf, without the Kubernetes client that it loads wherever it finds it: half a second and 12 MiB for nothing.

That client is here for ``exec`` plugins of kubeconfigs (``adapters.kube.config``), and is still found by them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["kopf"]


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Have a package not be found for a block, unless it is loaded already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # so Python marks what is not to be found
    try:
        yield
    finally:
        del sys.modules[package]


with _hidden("kubernetes"):
    import kopf
