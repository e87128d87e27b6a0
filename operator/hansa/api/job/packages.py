"""Packages that a job installs when it begins: a lock, and the index that a member lets it install from."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from hansa.api.meta import (
    ADDRESS,
    HOST_NAME,
    LOCAL_PATH,
    LOCK,
    PATTERN_ADVICE,
    Model,
    checked,
    rule,
)

PINNED = r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9][A-Za-z0-9.!+_-]*"
MARKER = r"[A-Za-z0-9_ .,'\"()<>=!~*+]+"
HASH = r"--hash=sha256:[0-9a-f]{64}"
_WHOLE = re.compile(rf"(?P<pinned>{PINNED})( *;(?P<marker>{MARKER}?))?(?P<hashes>( +{HASH})+) *")


def requirements(lock: str) -> tuple[str, ...]:
    """Return the requirements of a lock, one a line, with their hashes; raises ``ValueError`` naming a wrong line.

    >>> requirements("six==1.16.0 --hash=sha256:" + "0" * 64 + "  # via x")[0][:30]
    'six==1.16.0 --hash=sha256:0000'
    """
    # Lines end where an editor ends them: a comment hides nothing behind a rarer separator.
    bare = "\n".join(re.sub(r"(^|\s)#.*$", "", line).rstrip() for line in lock.split("\n"))
    # Spaces in a row would be tried in every split of them, and a hub may send what it likes.
    lines = (" ".join(line.split()) for line in bare.replace("\\\n", " ").split("\n"))
    return tuple(_canonical(line) for line in lines if line)


def _canonical(line: str) -> str:
    found = _WHOLE.fullmatch(line)
    if found is None:
        raise ValueError(f"{PATTERN_ADVICE[LOCK]}; this is another line: {line[:100]!r}")
    marker = (found["marker"] or "").strip().replace('"', "'")
    condition = f" ; {marker}" if marker else ""
    return f"{found['pinned']}{condition} {' '.join(found['hashes'].split())}"


class RuntimeEnv(Model):
    """What is installed before the job's command begins, where the member allows it."""

    pip: Annotated[str, StringConstraints(min_length=1, max_length=65_536)] = Field(
        description="Text of a lock: every package of every depth by version and SHA-256. Wheels only. It is"
        " part of what data owners sign.",
        json_schema_extra={"pattern": LOCK},
    )

    @field_validator("pip")
    @classmethod
    def _a_lock(cls, pip: str) -> str:
        # The member reads grants from a hub it does not trust: the CRD's rule is not enough there.
        if not requirements(pip):
            raise ValueError(f"{PATTERN_ADVICE[LOCK]}; it names no package")
        return pip

    @property
    def requirements(self) -> tuple[str, ...]:
        """The lock's requirements, one a line."""
        return requirements(self.pip)


class PackageIndex(Model):
    """The index that runs may install packages from: the one host that a run with a lock may reach for it."""

    host: Annotated[
        str,
        StringConstraints(pattern=HOST_NAME, max_length=253),
    ] = Field(description="Name of the host, as its certificate has it.")
    address: Annotated[str, StringConstraints(pattern=ADDRESS, max_length=45)] = Field(
        description="Its address, no Service's: runs with data can ask nobody for it.",
        json_schema_extra=checked(
            rule("isIP(self)", "address must be one of IPv4 or IPv6, for example 192.0.2.7")
        ),
    )
    port: int = Field(default=443, ge=1, le=65535, description="Port of HTTPS.")
    path: Annotated[str, StringConstraints(pattern=LOCAL_PATH, max_length=256)] = Field(
        default="simple", description="Path of the simple index (PEP 503)."
    )

    @property
    def url(self) -> str:
        """The index as pip is given it."""
        return f"https://{self.host}:{self.port}/{self.path}"

    @property
    def network(self) -> str:
        """Its address as a network of one."""
        return f"{self.address}/{128 if ':' in self.address else 32}"
