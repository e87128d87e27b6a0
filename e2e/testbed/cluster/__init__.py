"""One Kubernetes cluster as its administrator sees it: control plane, certificates, audit log."""
