"""A scoring script that says which versions it runs with."""

import sys
from importlib import metadata


def init():
    import numpy  # noqa: F401 - that they load is part of the test
    import sklearn  # noqa: F401
    import xgboost  # noqa: F401


def run(raw):
    versions = {name: metadata.version(name) for name in ("scikit-learn", "numpy", "xgboost")}
    return {"python": "{}.{}".format(*sys.version_info), **versions}
