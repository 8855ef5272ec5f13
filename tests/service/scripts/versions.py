"""A scoring script that says which versions it runs with."""

from importlib import metadata


def init():
    import numpy  # noqa: F401 - that it loads is part of the test
    import sklearn  # noqa: F401


def run(raw):
    return {name: metadata.version(name) for name in ("scikit-learn", "numpy")}
