"""Loads Dask without NumPy, which it can do without: what it carries between the service and nodes are no arrays.

NumPy would add a fifth to the time and the memory of a node's start, and its threads could not be forked.
"""

import sys

__all__ = ["distributed"]

_is_wanted = "numpy" in sys.modules  # by others in this process
if not _is_wanted:
    sys.modules["numpy"] = None  # type: ignore[assignment]
try:
    import distributed
finally:
    if not _is_wanted:
        del sys.modules["numpy"]
