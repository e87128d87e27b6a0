"""The workload that KubeRay runs: RayJob, its pods, its launcher and how its status reads."""
