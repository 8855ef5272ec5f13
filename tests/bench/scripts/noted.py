"""Writes down when mini-batches begin: into a file for each worker, in the folder that ``NOTES`` names."""

import os
import time
from pathlib import Path

FOLDER = os.environ.get("NOTES")


def begun():
    """Write down that a mini-batch begins now, in seconds since 1970."""
    if FOLDER:
        with Path(FOLDER, str(os.getpid())).open("a") as file:
            print(time.time(), file=file)
