"""The program that starts the user's command inside the Ray head.

KubeRay hands an entrypoint through two shells. So the entrypoint is this constant program, and the
user's arguments travel as JSON in a file: nothing a user wrote is ever read by a shell.

It begins the command once: the disk that outlives a pod's containers tells it of a beginning in this pod, and what the
guard notes in a file of the cluster of one in a pod before. Whether another is worth it, ``spec.retry`` says. It ends
the command, and Ray with it, when nobody has said for too long that the run may go on (``alive``): by the wall clock,
and by one that runs since the file was last seen to change.
"""

from __future__ import annotations

import base64
import binascii

from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.workload import Output

FOLDER = "/hansa"
CODE = "/code"
RESULT_PATH = "/tmp/hansa/result.json"  # noqa: S108  # a path inside the job's own container
MARK = "hansa-result:"
STALE_CODE = 75
"""EX_TEMPFAIL: it is not the command that failed."""
ANEW_CODE, ANEW = (
    76,
    "hansa: the head ended and began anew under the command, which one run begins once",
)
"""What is said where Ray's submitter hands the job to a head that has forgotten it."""
LOOK_S, GRACE_S = 3, 5
"""Seconds between looks at the file, and from the command's SIGTERM to its SIGKILL."""
ENTRYPOINT = f"python3 {FOLDER}/launch.py"
PROGRAM = f'''\
"""Runs the job's command without a shell, then prints its result as one marked line."""
import base64, calendar, json, os, signal, subprocess, sys, time

seen, since = None, 0.0


def seconds_left():
    """Return how long the run may go on, by the clock that says less."""
    global seen, since
    try:
        with open("{alive.FOLDER}/{alive.UNTIL}", encoding="ascii") as file:
            until, said = map(int, file.read().split())
    except (OSError, ValueError):
        if seen is None:
            return 0
        until, said = seen
    if (until, said) != seen:
        seen, since = (until, said), time.monotonic()
    return min(until - time.time(), until - said - (time.monotonic() - since))


def tell(data):
    """Print the last marked line, also of no result: it unsays all that the command printed like one."""
    print("\\n{MARK}" + base64.b64encode(data).decode(), flush=True)


def give_up():
    tell(b"")
    print("hansa: nobody has said in time that this run may go on; it ends", flush=True)
    try:
        subprocess.run(["ray", "stop", "--force"], timeout=30, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"hansa: Ray is not stopped: {{error}}", flush=True)
    sys.exit({STALE_CODE})


def outcome(child):
    """Return the command's exit code; end it when the run may not go on."""
    while seconds_left() > 0:
        try:
            return child.wait({LOOK_S})
        except subprocess.TimeoutExpired:
            continue
    child.terminate()
    try:
        child.wait({GRACE_S})
    except subprocess.TimeoutExpired:
        child.kill()
    give_up()


def begun_elsewhere():
    """Tell whether the command had begun before this pod was made, as its volume shows: in a head before this one."""
    try:
        with open("{alive.FOLDER}/{alive.BEGUN}", encoding="ascii") as file:
            began = calendar.timegm(time.strptime(file.read().strip(), "%Y-%m-%dT%H:%M:%SZ"))
        return os.lstat("{FOLDER}/argv.json").st_mtime > began
    except (OSError, ValueError):
        return False


with open("{FOLDER}/argv.json", encoding="utf-8") as file:
    argv = json.load(file)
path = os.environ["HANSA_RESULT"]
os.makedirs(os.path.dirname(path), exist_ok=True)
begun = os.path.join(os.path.dirname(path), "begun")
if os.path.exists(begun) or begun_elsewhere():
    tell(b"")
    print("{ANEW}", flush=True)
    sys.exit({ANEW_CODE})
open(begun, "w", encoding="ascii").close()
if seconds_left() <= 0:
    give_up()
try:
    child = subprocess.Popen(argv)
except OSError as error:
    print(f"hansa: cannot start {{argv[0]!r}}: {{error.strerror}}", flush=True)
    sys.exit(127)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda got, _: child.send_signal(got))
code = outcome(child)
limit = int(os.environ.get("HANSA_RESULT_MAX_BYTES", "0"))
try:
    # A pipe is not waited for: the run would last for as long as nobody writes into it.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        data = file.read(limit + 1)
except OSError:
    data = b""
tell(data)
sys.exit(code if code >= 0 else 128 - code)
'''
"""One byte more than declared is printed: the agent, who does not trust this program, sees and says so."""


def read_output(log: str) -> Output:
    """Split a driver's log into its tail and its result; the last marked line counts.

    Lines end at line feeds alone, as for the kubelet: others' words behind another separator mark nothing.
    """
    result: bytes | None = None
    lines: list[str] = []
    for line in log.split("\n"):
        if line.startswith(MARK):
            result = _decode(line.removeprefix(MARK)) or None
        else:
            lines.append(line)
    return Output("\n".join(lines).strip(), result)


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
