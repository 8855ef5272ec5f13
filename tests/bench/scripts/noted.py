"""Writes down when mini-batches begin: into a file for each worker, in the folder that ``NOTES`` names."""

import os
import time
from pathlib import Path

FOLDER = os.environ.get("NOTES")
FILE = Path(FOLDER, str(os.getpid())).open("a", buffering=1) if FOLDER else None


def begun():
    """Write down that a mini-batch begins now, in seconds since 1970."""
    if FILE:
        print(time.time(), file=FILE)
