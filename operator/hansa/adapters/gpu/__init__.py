"""GPUs of this machine, behind the ``GpuProbe`` port."""
