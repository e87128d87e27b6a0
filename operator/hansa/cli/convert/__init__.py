"""``hansa convert``: makes an AIJob of a manifest that KubeRay takes."""
