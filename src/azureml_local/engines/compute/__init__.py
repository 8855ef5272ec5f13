"""Computes: the nodes that jobs run on, how many of them there are, and which job has which."""
