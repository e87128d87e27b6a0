"""The program that starts the user's command inside the Ray head.

KubeRay hands an entrypoint through two shells. So the entrypoint is this constant program, and the
user's arguments travel as JSON in a file: nothing a user wrote is ever read by a shell.
"""

from __future__ import annotations

import base64
import binascii

from hansa.reconcile.member.workload import Output

FOLDER = "/hansa"
RESULT_PATH = "/tmp/hansa/result.json"  # noqa: S108  # a path inside the job's own container
MARK = "hansa-result:"
ENTRYPOINT = f"python3 {FOLDER}/launch.py"
PROGRAM = f'''\
"""Runs the job's command without a shell, then prints its result as one marked line."""
import base64, json, os, signal, subprocess, sys

with open("{FOLDER}/argv.json", encoding="utf-8") as file:
    argv = json.load(file)
path = os.environ["HANSA_RESULT"]
os.makedirs(os.path.dirname(path), exist_ok=True)
try:
    child = subprocess.Popen(argv)
except OSError as error:
    print(f"hansa: cannot start {{argv[0]!r}}: {{error.strerror}}", flush=True)
    sys.exit(127)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda got, _: child.send_signal(got))
code = child.wait()
limit = int(os.environ.get("HANSA_RESULT_MAX_BYTES", "0"))
try:
    with open(path, "rb") as file:
        data = file.read(limit + 1)
except OSError:
    data = b""
if data:
    print("\\n{MARK}" + base64.b64encode(data).decode(), flush=True)
sys.exit(code if code >= 0 else 128 - code)
'''
"""One byte more than declared is printed: the agent, who does not trust this program, sees and says so."""


def read_output(log: str) -> Output:
    """Split a driver's log into its tail and its result; the last marked line counts."""
    result: bytes | None = None
    lines: list[str] = []
    for line in log.splitlines():
        if line.startswith(MARK):
            result = _decode(line.removeprefix(MARK))
        else:
            lines.append(line)
    return Output("\n".join(lines).strip(), result)


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
