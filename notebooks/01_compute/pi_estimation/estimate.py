"""Estimate pi from random points, step by step.

A step's points depend on its number only. So it does not matter when, where, and after how
many interruptions a step is done: the estimate is the same.
"""

import argparse
import json
from pathlib import Path

import mlflow
import numpy as np

POINTS = 2_000_000  # a step
CHECKPOINT = "checkpoint.json"


def load(folder):
    """Return how many steps are done, and how many points of theirs lie in the circle."""
    if folder and (folder / CHECKPOINT).exists():
        state = json.loads((folder / CHECKPOINT).read_text())
        return state["done"], state["inside"]
    return 0, 0


def save(folder, done, inside):
    """Write the checkpoint; whoever reads it meanwhile finds the last one, whole."""
    if folder:
        new = folder / f"{CHECKPOINT}.new"
        new.write_text(json.dumps({"done": done, "inside": inside}))
        new.replace(folder / CHECKPOINT)


def inside_circle(step):
    """Return how many of a step's points in the unit square lie in the quarter of a circle."""
    x, y = np.random.default_rng(step).random((2, POINTS))
    return int(np.count_nonzero(x * x + y * y <= 1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--checkpoints", type=Path, help="folder; without it nothing is kept")
    asked = parser.parse_args()
    done, inside = load(asked.checkpoints)
    print(f"begins with step {done + 1} of {asked.steps}")
    for step in range(done + 1, asked.steps + 1):
        inside += inside_circle(step)
        save(asked.checkpoints, step, inside)
        mlflow.log_metric("steps_done", step, step=step)
    pi = 4 * inside / (POINTS * asked.steps)
    mlflow.log_metric("pi", pi)
    print(f"pi is about {pi:.5f}")


if __name__ == "__main__":
    main()
