"""Parallel jobs: their input split into mini-batches, which worker processes on each node hand to the user's script."""
