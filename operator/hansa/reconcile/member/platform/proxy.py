"""The way out of an institution whose only way out is a proxy, as programs in runs are told of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

AT_HOME = ("localhost", "127.0.0.1", "::1", ".svc", ".cluster.local")
"""Names that are never asked for through a proxy: Ray's own among them."""
AUTHORITY_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
)
"""What Python, requests, curl, git, pip and the AWS libraries read the authorities they trust from."""
AUTHORITY_FILE = "ca.crt"


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where it is, who is reached without it, and whose certificates count; empty: nothing is told."""

    http: str = ""
    https: str = ""
    direct: tuple[str, ...] = ()
    authorities: str = ""
    """ConfigMap of the agent's namespace with ``ca.crt``, which stands in place of the image's own."""

    def environment(self, folder: str, direct: Iterable[str] = ()) -> dict[str, str]:
        """Return the variables of a container.

        ``folder``: where the authorities are mounted. ``direct``: whom this one reaches without the proxy, too.
        """
        found: dict[str, str] = {}
        for name, value in (("HTTP_PROXY", self.http), ("HTTPS_PROXY", self.https)):
            found |= {name: value, name.lower(): value} if value else {}
        if found:
            without = ",".join((*AT_HOME, *self.direct, *direct))
            found |= {"NO_PROXY": without, "no_proxy": without}
        return found | self.trust(folder)

    def trust(self, folder: str) -> dict[str, str]:
        """Return the variables that name the authorities alone."""
        names = AUTHORITY_VARIABLES if self.authorities else ()
        return dict.fromkeys(names, f"{folder}/{AUTHORITY_FILE}")
