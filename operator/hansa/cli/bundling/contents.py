"""What an installation needs: charts, and images by digest, read from the values it will be installed with.

The charts' own helpers name images the same way; a test renders them and compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hansa.errors import Terminal

NAMED = re.compile(r"(?P<name>[a-z0-9][a-z0-9._:/-]*)@(?P<digest>sha256:[a-f0-9]{64})")


@dataclass(frozen=True, slots=True)
class Image:
    """One image: where it comes from, and what the installation calls it."""

    source: str
    """Name without tag or digest."""
    digest: str
    target: str
    """Name at the site: with its registry (``global.imageRegistry``) in place of the image's own."""

    @property
    def named(self) -> str:
        """Name and digest."""
        return f"{self.source}@{self.digest}"

    @property
    def file(self) -> str:
        """Path in the archive, and name of the file that holds it, an OCI archive."""
        return f"images/{re.sub('[^a-z0-9.]+', '-', self.source)}-{self.digest[7:19]}.tar"

    @property
    def pull(self) -> str:
        """The command that makes the file in the folder ``images``, where there is a network."""
        return f"skopeo copy --all docker://{self.named} oci-archive:{self.file}"

    @property
    def push(self) -> str:
        """The command that puts it into the site's registry; digests are kept."""
        return (
            f"skopeo copy --all --preserve-digests oci-archive:{self.file} docker://{self.target}"
        )


def chart_images(chart: Path, values: Path | None) -> Iterator[Image]:
    """Yield the images of a chart under values; raises ``Terminal`` for one without a digest."""
    given = _merged(_read(chart / "values.yaml"), _read(values) if values else {})
    registry = str(_part(given, "global", values).get("imageRegistry") or "")
    image = _part(given, "image", values)
    name, digest = (str(image.get(part) or "") for part in ("repository", "digest"))
    named = f"{name}@{digest}" if digest else name
    yield _image(named, registry, f"{chart.name}: image.digest")
    if "resolver" in given:
        resolver = str(_part(given, "resolver", values).get("image") or "")
        yield _image(resolver, registry, f"{chart.name}: resolver.image")


def extra_image(named: str) -> Image:
    """Return an image that somebody named by digest; raises ``Terminal`` for another."""
    return _image(named, "", "--image")


def image_of(named: str, known: Iterable[Image]) -> Image:
    """Return the image that a chart names by tag: by its own digest, or by one that somebody told.

    Raises ``Terminal`` where nobody has.
    """
    if NAMED.fullmatch(named):
        return _image(named, "", named)
    source = named.rpartition(":")[0]
    for image in known:
        if image.source == source:
            return image
    raise Terminal(
        f"the chart's image {named} is not named by digest; give --image {source}@sha256:…, which"
        f" `skopeo inspect --format '{{{{.Digest}}}}' docker://{named}` tells"
    )


def _image(named: str, registry: str, place: str) -> Image:
    found = NAMED.fullmatch(named)
    if found is None:
        raise Terminal(f"{place}: {named} is not named by digest; give NAME@sha256:… of it")
    source = re.sub(r":[^:/]*$", "", found["name"])
    first, slash, rest = source.partition("/")
    has_host = bool(slash) and (first == "localhost" or bool(re.search("[.:]", first)))
    path = rest if has_host else source
    return Image(source, found["digest"], f"{registry}/{path}" if registry else source)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Terminal(f"cannot read values {path}: {error}") from error
    if not isinstance(document, dict | None):
        raise Terminal(f"{path} holds no values")
    return document or {}


def _part(given: Mapping[str, Any], name: str, values: Path | None) -> Mapping[str, Any]:
    part = given.get(name) or {}
    if not isinstance(part, dict):
        raise Terminal(f"{values}: {name} is no mapping")
    return part


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Merge values as Helm does: maps into maps; null takes a value out."""
    merged = dict(old)
    for name, value in new.items():
        before = merged.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[name] = _merged(before, value)
        elif value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged
