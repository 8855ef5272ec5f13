"""Takes 20 ms, answers which deployment it is, and notes in a file of its process what it has begun and ended."""

import os
import time
from pathlib import Path

NOTES = Path(os.environ["NOTES"])


def init():
    """Load nothing."""


def run(_):
    note("begun\n")
    time.sleep(0.02)
    note("ended\n")
    return os.environ["DEPLOYMENT"]


def note(word):
    with (NOTES / str(os.getpid())).open("a") as file:
        file.write(word)
