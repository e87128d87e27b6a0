"""Where tests keep the compiled kernel: in one place for every checkout of the project.

numba names the folder by that of the source, so that each fresh clone would compile for half a minute
on every core. What lies there is named by the digest of all sources that were compiled.
"""

from __future__ import annotations

from numba.core.caching import UserProvidedCacheLocator


class AnyCheckout(UserProvidedCacheLocator):
    """The folder of ``NUMBA_CACHE_DIR``, whichever file the kernel was loaded from."""

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:  # noqa: ARG003  # numba asks so
        """Return the same folder for all."""
        return "kernel"
