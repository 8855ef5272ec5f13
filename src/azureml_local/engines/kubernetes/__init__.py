"""Kubernetes clusters as far as model deployments need one: what their nodes hold, and which pods fit.

No container is run: processes of the service's own runner stand in for pods.
"""
