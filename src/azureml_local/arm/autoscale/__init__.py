"""Autoscale settings of Azure Monitor: how they are judged, and what they do to deployments."""
