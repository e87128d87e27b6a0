"""Ends of runs by memory: what Ray's own monitor says, and what only looks like it. Rows of the table of causes."""

from __future__ import annotations

from tests.unit.reconcile.member.ray.left_behind import killed, pod, rayjob, target

EXIT = "Job entrypoint command failed with exit code {}, last available logs (truncated to 20,000 chars):\nx"
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
LOW_HERE = "Memory on the node (IP: 10.0.0.1, ID: 51) was 1.98GB used / 2.00GB limit (0.991907)"
RAY_KILLED = {
    "a worker killed by Ray, and the job's supervisor with it": "Unexpected error occurred: 1 worker(s) were"
    f" killed due to the node running low on memory. {LOW_HERE}",
    "a worker killed by Ray before 2.56": "Unexpected error occurred: Task was killed due to the node running"
    f" low on memory.\n{LOW_HERE}",
    "the supervisor's end told as an actor's": "Job supervisor actor died: The actor died because its node has"
    f" run out of memory. 2 worker(s) were killed due to the node running low on memory. {LOW_HERE}",
    "a driver that Ray told so": EXIT.format(1).removesuffix("x")
    + "Traceback (most recent call last):\n"
    '  File "train.py", line 3, in <module>\nray.exceptions.OutOfMemoryError: Task was killed due to the'
    f" node running low on memory.\n{LOW_HERE}",
    "a driver killed by number": EXIT.format(-9),
}
SUPERVISOR_DIED = (
    "Job supervisor actor died: The actor died unexpectedly before finishing this task. Worker exit type:"
    " SYSTEM_ERROR Worker exit detail: Worker unexpectedly exits with a connection error code 2. End of file."
    " Some common causes include: (1) the process was killed by the OOM killer due to high memory usage"
)
OF_MEMORY = {
    # Ray's own monitor of memory strikes before the kernel does; its words since 2.56, and before.
    **{
        name: (
            rayjob("Failed", "FAILED", "AppFailed", message),
            [pod("head", **READY)],
            [],
            "OutOfMemory",
            "",
        )
        for name, message in RAY_KILLED.items()
    },
    "a program speaks of memory, and that is all": (
        rayjob(
            "Failed",
            "FAILED",
            "AppFailed",
            f"{EXIT.format(1)} ran low: torch.OutOfMemoryError: CUDA",
        ),
        [],
        [],
        *("AppFailed", ""),
    ),
    "Ray's supervisor died with its container, out of memory": (
        rayjob("Failed", "FAILED", "AppFailed", SUPERVISOR_DIED),
        [pod("head", containerStatuses=killed("lastState"))],
        [],
        *("OutOfMemory", "It was a head pod (OOMKilled)."),
    ),
    "Ray's supervisor died, and nothing says of what": (
        rayjob("Failed", "FAILED", "AppFailed", SUPERVISOR_DIED),
        [pod("head", **READY)],
        [],
        *("RayFailed", ""),
    ),
    "Ray killed a worker, but it was its machine that went": (
        rayjob(
            "Failed",
            "FAILED",
            "AppFailed",
            RAY_KILLED["a worker killed by Ray, and the job's supervisor with it"],
        ),
        [pod("head", conditions=target("DeletionByTaintManager"))],
        [],
        *("MachineLost", "It held a head pod."),
    ),
}
"""The RayJob; the pods; events; then the cause, and what is said beside it."""
