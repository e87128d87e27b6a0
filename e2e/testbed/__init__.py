"""Brings Kubernetes clusters up on one machine and takes every trace of them down again."""
