"""How many processors one step, or one request, takes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any


def one_thread() -> AbstractContextManager[Any]:
    """Let OpenMP compute with one thread; call it when scikit-learn's modules that use OpenMP are imported.

    Steps of a pipeline run side by side, as the workers of a web service do. Threads of several of them on the same
    processors wait for each other by computing nothing: boosted trees of 100,000 rows took 14 s so, and take 1.6 s.
    """
    return _libraries().limit(limits=1, user_api="openmp")  # type: ignore[no-any-return]


@cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
