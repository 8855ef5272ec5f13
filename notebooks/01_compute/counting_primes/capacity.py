"""Measures how much work a node does at a time: 1, 2, 4, ... processes that count primes."""

import argparse
import multiprocessing
import os
import time

import mlflow
from count import primes_below

LIMIT = 300_000


def count_for(seconds):
    """Count the same primes again and again, and return how many times."""
    times, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        primes_below(LIMIT)
        times += 1
    return times


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--most", type=int)
    options = parser.parse_args()
    mlflow.log_metric("cores", os.cpu_count())
    processes = 1
    while processes <= options.most:
        with multiprocessing.Pool(processes) as pool:
            done = pool.map(count_for, [options.seconds] * processes, chunksize=1)
        mlflow.log_metric("counts_per_second", sum(done) / options.seconds, step=processes)
        processes *= 2
