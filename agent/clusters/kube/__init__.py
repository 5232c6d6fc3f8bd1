"""Kubernetes by its API: the kubeconfig in memory, kubectl's argv as calls, printed as kubectl prints."""
