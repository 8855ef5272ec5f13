"""Answers each file's name after 5 ms, and notes it in a file of its process: which mini-batches it has begun."""

import os
import time
from pathlib import Path

NOTES = Path(os.environ["NOTES"])


def init():
    """Load nothing."""


def run(mini_batch):
    with (NOTES / str(os.getpid())).open("a") as file:
        file.writelines(f"{Path(path).name}\n" for path in mini_batch)
    time.sleep(0.005)
    return [Path(path).name for path in mini_batch]
