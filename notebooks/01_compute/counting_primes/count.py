"""Counts the primes below the number in each file, for a job of mini-batches.

Each row says which file, which node, how many primes, and when the work began and ended, in
seconds since 1970.
"""

import os
import time
from pathlib import Path

import numpy as np


def init():
    """Find out which of the job's nodes this is: Azure ML numbers them from 0."""
    global node
    node = int(os.environ.get("AZUREML_CR_NODE_RANK", 0))


def primes_below(limit):
    """Return how many primes there are below a limit, by the sieve of Eratosthenes."""
    is_prime = np.ones(limit, dtype=bool)
    is_prime[:2] = False
    for number in range(2, int(limit**0.5) + 1):
        if is_prime[number]:
            is_prime[number * number :: number] = False
    return int(is_prime.sum())


def run(mini_batch):
    """Return a row for each file."""
    rows = []
    for path in map(Path, mini_batch):
        began = time.time()
        count = primes_below(int(path.read_text()))
        rows.append(f"{path.name},{node},{count},{began:.3f},{time.time():.3f}")
    return rows
