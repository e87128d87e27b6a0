"""What a platform team installs into a cluster: DNS, KubeRay, charts, Prometheus, volumes."""
