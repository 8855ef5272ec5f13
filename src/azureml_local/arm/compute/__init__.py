"""Computes: clusters, instances and their nodes; VM sizes, and the quotas that limit them."""
