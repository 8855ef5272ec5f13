"""Takes ``PAUSE`` seconds, and answers the same always: it is the way to the model that is measured."""

import os
import time

PAUSE = float(os.environ["PAUSE"])


def init():
    """Load nothing."""


def run(_):
    if PAUSE:
        time.sleep(PAUSE)
    return [0.5]
