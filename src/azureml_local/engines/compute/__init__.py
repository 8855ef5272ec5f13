"""Computes: the nodes that jobs run on, how many of them there are, and which job has which."""

REPORTS = "reports"  # the topic of what nodes report of the work they are at
