"""Scoring script without a model: it counts rows."""

import json


def init():
    """There is nothing to load."""


def run(raw_data):
    """Return how many rows there are in {"rows": [...]}."""
    return len(json.loads(raw_data)["rows"])
