"""Batch endpoints, their deployments, and the jobs that invoking them makes."""
