"""Does nothing with a mini-batch: what it takes all the same is the price of a mini-batch."""

import noted


def init():
    """Load nothing."""


def run(mini_batch):
    noted.begun()
    return [1] * len(mini_batch)
