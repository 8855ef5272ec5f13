"""The scoring script that the benchmark deploys: it takes ``PAUSE`` seconds, and answers the same always."""

import os
import time

PAUSE = float(os.environ["PAUSE"])


def init():
    """Load nothing: it is the way to the model that is measured."""


def run(_):
    if PAUSE:
        time.sleep(PAUSE)
    return [0.5]
