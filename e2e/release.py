"""``python -m e2e.release``: makes what a release consists of, and the same bytes whoever makes it.

The wheel, the charts, a bill of materials of what runs in a cluster, and their digests. The image is
built from the ``Containerfile``, which needs a registry; hosted CI does that.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import hansa
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.build.layers import add_bytes

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(sys.executable).parent
DIGESTS = "SHA256SUMS"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build into ``--output``; with ``--check`` build twice instead, and compare."""
    parser = argparse.ArgumentParser(description="Build a release, the image aside.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="DIR")
    parser.add_argument("--check", action="store_true", help="compare with a build of a copy")
    chosen = parser.parse_args(arguments)
    if chosen.check:
        with tempfile.TemporaryDirectory(prefix="hansa-release-") as folder:
            return check(Path(folder))
    print(build(ROOT, chosen.output).read_text(encoding="utf-8"), end="")
    return 0


def check(folder: Path) -> int:
    """Build from the checkout and from a copy with other dates and rights; count what differs."""
    here = build(ROOT, folder / "here")
    there = build(copy(folder / "source"), folder / "there", is_validated=False)
    ours, theirs = (set(path.read_text(encoding="utf-8").splitlines()) for path in (here, there))
    for line in sorted(ours ^ theirs):
        print(f"differs: {line}", file=sys.stderr)
    print(f"{len(ours & theirs)} files are the same, built twice")
    return len(ours ^ theirs)


def build(source: Path, output: Path, *, is_validated: bool = True) -> Path:
    """Make everything from ``source`` and return the file of the digests.

    ``is_validated``: whether the bill of materials is held against its schema, which takes six times
    as long as making it; a second build that has to give the same bytes need not.
    """
    output.mkdir(parents=True, exist_ok=True)
    made = [wheel(source, output)]
    made += [chart(path, output) for path in sorted((source / "helm").glob("hansa-*"))]
    made.append(bill_of_materials(source, output, is_validated=is_validated))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made]
    digests = output / DIGESTS
    digests.write_text("".join(lines), encoding="utf-8")
    return digests


def wheel(source: Path, output: Path) -> Path:
    """Build the wheel; hatchling sorts the files and gives them one date."""
    argv = [PROGRAMS / "hatchling", "build", "--target", "wheel", "--directory", output.resolve()]
    _run([str(part) for part in argv], source)
    return output / f"hansa-{hansa.__version__}-py3-none-any.whl"


def chart(source: Path, output: Path) -> Path:
    """Package a chart, and take the time of day that Helm gives each file out of the archive."""
    helm = Binaries()["helm"]
    _run([str(helm), "package", str(source), "--destination", str(output)], source)
    archive = output / f"{source.name}-{hansa.__version__}.tgz"
    archive.write_bytes(_undated(archive))
    return archive


def bill_of_materials(source: Path, output: Path, *, is_validated: bool) -> Path:
    """Write a CycloneDX document of every package of the runtime lock, with its hashes."""
    argv = [str(PROGRAMS / "cyclonedx-py"), "requirements", "requirements/runtime.lock"]
    argv += ["--pyproject", "pyproject.toml", "--output-reproducible"]
    made = _run([*argv, "--validate" if is_validated else "--no-validate"], source)
    document = json.loads(made)
    document["metadata"]["component"]["version"] = hansa.__version__  # dynamic in pyproject.toml
    target = output / "hansa.cdx.json"
    target.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return target


def copy(target: Path) -> Path:
    """Copy what git knows or would add, as another person's clone would have it."""
    listed = _run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((ROOT / name).read_bytes())
            (target / name).chmod(0o600)
            os.utime(target / name, (0, 1_000_000_000))
    return target


def _undated(archive: Path) -> bytes:
    packed = io.BytesIO()
    with (
        tarfile.open(archive) as old,
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as stream,
        tarfile.open(fileobj=stream, mode="w") as new,
    ):
        for info in sorted(old, key=lambda info: info.name):
            content = old.extractfile(info)
            add_bytes(new, info.name, content.read() if content else b"")
    return packed.getvalue()


def _run(argv: Sequence[str], folder: Path) -> str:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv[:3])}: {done.stderr.strip()[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
