"""The launcher as the real program it is, and the kubelet's probe as the real shell line it is."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.ray import launcher
from hansa.reconcile.member.ray.rayjob_view import COMMAND_FAILED, read_rayjob
from hansa.reconcile.member.workload import Output

DAY_S = 86_400


PROGRAMS = {
    "a result": (
        "import os; open(os.environ['HANSA_RESULT'],'w').write('{\"a\": 1}')",
        0,
        b'{"a": 1}',
    ),
    "no result": ("print('hello')", 0, None),
    "too large: as much as shows it": (
        "import os; open(os.environ['HANSA_RESULT'],'w').write('x' * 999)",
        0,
        b"x" * 101,
    ),
    "as large as may be": (
        "import os; open(os.environ['HANSA_RESULT'],'w').write('\u00e9' * 50)",
        0,
        ("\u00e9" * 50).encode(),
    ),
    "cut within a letter": (
        "import os; open(os.environ['HANSA_RESULT'],'w').write('\u20ac' * 50)",
        0,
        ("\u20ac" * 50).encode()[:101],
    ),
    "a pipe into which nobody writes": (
        "import os; os.mkfifo(os.environ['HANSA_RESULT'])",
        0,
        None,
    ),
    "a folder": ("import os; os.mkdir(os.environ['HANSA_RESULT'])", 0, None),
    "a link to what never ends": (
        "import os; os.symlink('/dev/zero', os.environ['HANSA_RESULT'])",
        0,
        b"\0" * 101,
    ),
    "a link to nothing": ("import os; os.symlink('/no', os.environ['HANSA_RESULT'])", 0, None),
    "none, but a line like one": ("print('hansa-result:MQ==')", 0, None),
    "one, and a line like another": (
        "import os; open(os.environ['HANSA_RESULT'],'w').write('a'); print('hansa-result:MQ==')",
        0,
        b"a",
    ),
    "failure with a line like one": (
        "import sys; print('hansa-result:MQ=='); sys.exit(3)",
        3,
        None,
    ),
    "failure": ("import sys; sys.exit(3)", 3, None),
    "killed": ("import os; os.kill(os.getpid(), 9)", 137, None),
}


@pytest.mark.parametrize("case", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_the_launcher_runs_the_command_and_marks_its_result(case, tmp_path):
    code, status, result = case
    done = launch(tmp_path, [sys.executable, "-c", code])
    assert done.returncode == status
    assert launcher.read_output(done.stdout).result == result


def test_a_head_that_began_anew_begins_the_command_no_second_time(tmp_path):
    argv = [sys.executable, "-c", f"open({str(tmp_path / 'ran')!r}, 'a').write('x')"]
    assert launch(tmp_path, argv).returncode == 0
    again = launch(tmp_path, argv)
    assert (again.returncode, (tmp_path / "ran").read_text()) == (launcher.ANEW_CODE, "x")
    message = f"{COMMAND_FAILED}{again.returncode}, last available logs:\n{again.stdout}"
    ended = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "message": message}
    assert read_rayjob({"metadata": {}, "status": ended}).end is EndReason.HEAD_LOST
    ended["message"] = f"{COMMAND_FAILED}{again.returncode}, last available logs:\nits own"
    assert read_rayjob({"metadata": {}, "status": ended}).end is EndReason.APP_FAILED


# What the guard noted, in seconds from the making of this head's pod; None: nothing, or what is no time.
NOTED = {
    "an older head, and no agent looked": (-500, False),
    "a head of a minute ago": (-60, False),
    "this head": (20, True),
    "nothing": (None, True),
    "what is no time": ("soon", True),
}


@pytest.mark.parametrize("name", NOTED)
def test_a_head_that_took_the_place_of_another_begins_the_command_no_second_time(name, tmp_path):
    since, begins = NOTED[name]
    say(tmp_path, valid_s=DAY_S)
    if since is not None:
        text = alive.begun(now() + since)[alive.BEGUN] if isinstance(since, int) else since
        Path(f"{tmp_path}-alive", alive.BEGUN).write_text(text)
    done = launch(tmp_path, [sys.executable, "-c", "print('here')"])
    assert ("here" in done.stdout) is begins
    assert done.returncode == (0 if begins else launcher.ANEW_CODE)
    assert (launcher.ANEW in done.stdout) is not begins


def test_the_launcher_says_what_it_cannot_start(tmp_path):
    done = launch(tmp_path, ["/no/such/program"])
    assert done.returncode == 127
    assert "/no/such/program" in done.stdout


def now() -> int:
    return int(time.time())  # noqa: TID251  # the launcher reads the real clock


def say(folder: Path, *, valid_s: int, said_s: int | None = None) -> None:
    """Write the file as the kubelet would."""
    place = Path(f"{folder}-alive")
    place.mkdir(exist_ok=True)
    said_s = now() if said_s is None else said_s
    text = alive.validity(said_s, said_s + valid_s)[alive.UNTIL]
    (place / alive.UNTIL).write_text(text)


def launch(folder: Path, argv: list[str], *, valid_s: int | None = DAY_S, prelude: str = ""):
    """Run the program; ``valid_s`` None leaves the file as it is. Ray's command is a fake."""
    if valid_s is not None:
        say(folder, valid_s=valid_s)
    (folder / "argv.json").write_text(json.dumps(argv))
    ray = folder / "ray"
    ray.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n')
    ray.chmod(0o755)
    program = prelude + launcher.PROGRAM.replace(launcher.FOLDER, str(folder))
    env = {
        "HANSA_RESULT": str(folder / "out" / "result.json"),
        "HANSA_RESULT_MAX_BYTES": "100",
        "PATH": f"{folder}:{os.environ['PATH']}",
    }
    return subprocess.run(
        [sys.executable, "-c", program],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        timeout=60,
    )


def asked_of_ray(folder: Path) -> str:
    asked = folder / "asked"
    return asked.read_text() if asked.exists() else ""


SLEEPS = [sys.executable, "-c", "import time; time.sleep(30)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(30)",
]
WAYS = {"a command": SLEEPS, "one that does not hear SIGTERM": DEAF}


@pytest.mark.parametrize("argv", WAYS.values(), ids=WAYS)
def test_a_stale_file_ends_the_command_and_ray(argv, tmp_path):
    done = launch(tmp_path, argv, valid_s=2)
    assert done.returncode == launcher.STALE_CODE
    assert "may go on" in done.stdout
    assert asked_of_ray(tmp_path) == "stop --force\n"


def test_a_clock_set_back_does_not_lengthen_the_run(tmp_path):
    """The machine believes it is yesterday, and would for a day."""
    prelude = f"import time\nreal = time.time\ntime.time = lambda: real() - {DAY_S}\n"
    done = launch(tmp_path, SLEEPS, valid_s=2, prelude=prelude)
    assert done.returncode == launcher.STALE_CODE


NEVER_BEGUN = {
    "no file": None,
    "an empty file": "",
    "words": "for ever",
    "one number": f"{2**31}",
    "stale": f"{10**9} {10**9 - 60}",
}


@pytest.mark.parametrize("text", NEVER_BEGUN.values(), ids=NEVER_BEGUN)
def test_a_command_is_not_begun_where_nobody_says_that_it_may(text, tmp_path):
    if text is not None:
        Path(f"{tmp_path}-alive").mkdir()
        Path(f"{tmp_path}-alive", alive.UNTIL).write_text(text)
    # A program that is not there: the attempt alone would end otherwise.
    done = launch(tmp_path, ["/no/such/program"], valid_s=None)
    assert done.returncode == launcher.STALE_CODE


def test_a_renewed_file_lets_the_command_go_on(tmp_path):
    """The command itself plays the guard: its file would be stale after 4 s, and it takes 8."""
    file = Path(f"{tmp_path}-alive", alive.UNTIL)
    code = (
        "import pathlib, time\n"
        f"pathlib.Path({str(file)!r}).write_text(f'{{int(time.time()) + 60}} {{int(time.time())}}')\n"
        "time.sleep(8)"
    )
    done = launch(tmp_path, [sys.executable, "-c", code], valid_s=4)
    assert done.returncode == 0
    assert asked_of_ray(tmp_path) == ""


def test_without_ray_the_command_ends_all_the_same(tmp_path):
    done = launch(
        tmp_path, SLEEPS, valid_s=2, prelude="import os\nos.environ['PATH'] = '/nowhere'\n"
    )
    assert done.returncode == launcher.STALE_CODE
    assert "Ray is not stopped" in done.stdout


PROBES = {
    "valid": (lambda: f"{now() + 60} {now()}\n", True),
    "stale": (lambda: f"{now() - 1} {now() - 60}\n", False),
    "stale this very second": (lambda: f"{now()} {now() - 60}\n", False),
    "empty": (lambda: "", False),
    "words": (lambda: "for ever\n", False),
}


@pytest.mark.parametrize(("text", "lives"), PROBES.values(), ids=PROBES)
def test_the_kubelets_probe(text, lives, tmp_path):
    (tmp_path / alive.UNTIL).write_text(text())
    line = alive.PROBE.replace(alive.FOLDER, str(tmp_path))
    assert (subprocess.run(["/bin/sh", "-c", line], check=False).returncode == 0) is lives


def test_the_probe_fails_without_the_file(tmp_path):
    line = alive.PROBE.replace(alive.FOLDER, str(tmp_path))
    assert subprocess.run(["/bin/sh", "-c", line], check=False).returncode != 0


FILES = {
    "as written": (alive.validity(100.9, 3670.9), 3670.0),
    "nothing": ({}, None),
    "words": ({"until": "soon now"}, None),
    "negative": ({"until": "-5 0"}, None),
    "no text": ({"until": 7}, None),
}


@pytest.mark.parametrize(("data", "until"), FILES.values(), ids=FILES)
def test_the_file_is_read_back(data, until):
    assert alive.read_until({"data": data}) == until


LOGS = {
    "nothing": ("", "", None),
    "tail": ("a\nb\n", "a\nb", None),
    "result": ("a\nhansa-result:" + base64.b64encode(b"{}").decode() + "\nb", "a\nb", b"{}"),
    "the last one counts": ("hansa-result:MQ==\nhansa-result:Mg==", "", b"2"),
    "no text": ("hansa-result:/w==", "", b"\xff"),
    "spoilt": ("hansa-result:!!!", "", None),
}


@pytest.mark.parametrize("case", LOGS.values(), ids=LOGS.keys())
def test_output(case):
    log, tail, result = case
    assert launcher.read_output(log) == Output(tail, result)


def test_a_command_that_is_ended_leaves_no_result_that_it_printed(tmp_path):
    code = "import time; print('hansa-result:MQ==', flush=True); time.sleep(30)"
    done = launch(tmp_path, [sys.executable, "-c", code], valid_s=2)
    assert done.returncode == launcher.STALE_CODE
    assert launcher.read_output(done.stdout).result is None


@pytest.mark.parametrize("separator", "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", ids=ascii)
def test_nothing_within_a_line_poses_as_the_result(separator):
    line = f"read: a{separator}hansa-result:MQ=="
    assert launcher.read_output(f"{line}\n") == Output(line, None)
    assert launcher.read_output(f"hansa-result:Mg==\n{line}\n") == Output(line, b"2")
