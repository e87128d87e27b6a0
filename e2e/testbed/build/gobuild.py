"""Builds a family's binaries with the Go tool, in a module of its own outside the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from e2e.testbed.build.families import Family
from e2e.testbed.host.progress import Progress

_STAGING = re.compile(r"^\s*(k8s\.io/[a-z-]+) v0\.0\.0(?:$|\s)", re.MULTILINE)


class GoBuildError(RuntimeError):
    """The Go tool is missing or failed; the message carries its last lines."""


def go_available() -> bool:
    """Return whether a Go tool is on PATH."""
    return shutil.which("go") is not None


def build(
    family: Family, binaries: Iterable[str], *, module: Path, target: Path, progress: Progress
) -> None:
    """Build ``binaries`` into ``target``, keeping the module files in ``module``."""
    prepare_module(family, module)
    target.mkdir(parents=True, exist_ok=True)
    for name in binaries:
        usual_s = family.build_s[name]
        title = f"go build {name} {family.version} (about {usual_s} s on 2 cores)"
        with progress.step(title, usual_s=usual_s):
            partial = target / f".{name}.partial"
            flags = ["-trimpath", "-ldflags", family.ldflags, "-o", str(partial)]
            _go(module, "build", *flags, family.packages[name])
            partial.rename(target / name)


def prepare_module(family: Family, module: Path) -> None:
    """Make ``module`` a Go module that requires exactly the family's version."""
    if (module / "go.sum").exists():
        return
    module.mkdir(parents=True, exist_ok=True)
    if family.source is not None:
        shutil.copytree(family.source, module, dirs_exist_ok=True)
        _go(module, "mod", "tidy")
        return
    (module / "go.mod").unlink(missing_ok=True)
    _go(module, "mod", "init", "build")
    if family.staging_version:
        _replace_staging(family, module)
        tools = "\n".join(f'\t_ "{package}"' for package in family.packages.values())
        (module / "tools.go").write_text(
            f"//go:build tools\n\npackage tools\n\nimport (\n{tools}\n)\n"
        )
        _go(module, "mod", "tidy")
        return
    tools_wanted = [f"{package}@{family.version}" for package in family.packages.values()]
    _go(module, "get", "-tool", *tools_wanted)


def module_source(family: Family, module: Path) -> Path:
    """Return the folder of the family's downloaded source (read-only)."""
    answer = _go(module, "mod", "download", "-json", f"{family.module}@{family.version}")
    return Path(json.loads(answer)["Dir"])


def _replace_staging(family: Family, module: Path) -> None:
    """Point every staging module at its published version: upstream's replaces are local paths."""
    source = module_source(family, module)
    for name in _STAGING.findall((source / "go.mod").read_text()):
        _go(module, "mod", "edit", "-replace", f"{name}={name}@{family.staging_version}")
    _go(module, "mod", "edit", "-require", f"{family.module}@{family.version}")


def _go(folder: Path, *args: str) -> str:
    """Run the Go tool in ``folder`` and return what it printed."""
    env = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=mod"}
    done = subprocess.run(
        ["go", *args], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise GoBuildError(f"go {' '.join(args)} failed:\n{done.stderr[-2000:]}")
    return done.stdout
