"""Which variables a job may set: what its frameworks read, and nothing by which a run or its cards are held."""

from __future__ import annotations

from pathlib import Path

import pytest

from hansa.api.aijob import HARMLESS_ENV, is_reserved_env

LOCK = Path(__file__).parents[2] / "helm/hansa-member/templates/lock/pods.yaml"
MAY_BE_SET = [
    "RAY_TRAIN_V2_ENABLED",
    "RAY_DATA_DISABLE_PROGRESS_BARS",
    "RAY_AIR_NEW_OUTPUT",
    "RAY_TUNE_MAX_PENDING_TRIALS_PG",
    "RAY_SERVE_QUEUE_LENGTH_CACHE_TIMEOUT_S",
    "RAY_CGRAPH_get_timeout",
    "RAY_DEDUP_LOGS",
    "RAY_PROFILING",
    "RAY_CHDIR_TO_TRIAL_DIR",
    "RAY_IGNORE_UNHANDLED_ERRORS",
    "RAY_DISABLE_DOCKER_CPU_WARNING",
    "RAY_memory_monitor_refresh_ms",
    "RAY_memory_usage_threshold",
    "RAY_task_oom_retries",
    "RAY_worker_register_timeout_seconds",
    "RAY_OVERRIDE_JOB_RUNTIME_ENV",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_DEVICE_ORDER",
    "CUDA_DEVICE_MAX_CONNECTIONS",
    "NVIDIA_TF32_OVERRIDE",
    "NCCL_DEBUG",
    "HF_HOME",
    "PYTHONPATH",
    "RAYON_NUM_THREADS",
    "VLLM_USE_V1",
    "OMP_NUM_THREADS",
]
MAY_NOT = [
    "RAY_ADDRESS",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_USAGE_STATS_ENABLED",
    "RAY_PDB",
    "KUBERAY_GEN_RAY_START_CMD",
    "HANSA_RESULT",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "GLIBC_TUNABLES",
    "GCONV_PATH",
    "NVIDIA_VISIBLE_DEVICES",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
    "HIP_VISIBLE_DEVICES",
    "CUDA_MPS_PIPE_DIRECTORY",
]


@pytest.mark.parametrize("name", MAY_BE_SET)
def test_a_job_may_set(name):
    assert not is_reserved_env(name)


@pytest.mark.parametrize("name", MAY_NOT)
def test_a_job_may_not_set(name):
    assert is_reserved_env(name)


def test_the_second_lock_lets_pass_what_a_job_may_set():
    text = LOCK.read_text(encoding="utf-8")
    looked_at = [name for name in HARMLESS_ENV if name.startswith(("LD_", "NVIDIA_", "CUDA_"))]
    assert looked_at
    assert [name for name in looked_at if f"'{name}'" not in text] == []
