"""Python's bytecode, made before anything is measured: an image has it, a checkout may not.

Where ``PYTHONDONTWRITEBYTECODE`` is set, as in many containers, a program would compile all that it
loads at every start: more than a second of CPU that no pod of ours takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def with_bytecode(folder: Path, *modules: str) -> dict[str, str]:
    """Compile what some modules load; return the environment of a program that finds it."""
    environment = {"PYTHONPYCACHEPREFIX": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(  # our own interpreter
        [sys.executable, "-c", f"import {', '.join(modules)}"],
        env=os.environ | environment,
        check=True,
    )
    return environment
