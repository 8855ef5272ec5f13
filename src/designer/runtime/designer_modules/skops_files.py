"""What scikit-learn fitted, in files that run no code when they are read."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from .errors import ModuleError

UNREADABLE = 82  # the Designer's error for a model that cannot be read


def save(estimator: Any, path: Path) -> None:
    """Write what scikit-learn fitted into a file."""
    _skops().dump(estimator, path)


def load(path: Path, trusted: Iterable[str]) -> Any:
    """Read it; ``trusted`` are the types that it may hold beside those that skops itself trusts.

    Raises:
        ModuleError: the file holds another type, or is none of skops.
    """
    skops = _skops()
    try:
        return skops.load(path, trusted=list(trusted))
    except skops.exceptions.UntrustedTypesFoundException as error:
        reason = f"{path.name} holds what no component of ours puts there, and is not read: {error}"
        raise ModuleError(UNREADABLE, reason) from error
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise ModuleError(UNREADABLE, f"{path.name} is no file that a component has written: {error}") from error


def _skops() -> Any:
    with _not_imported("sklearn.externals.array_api_compat.torch", "sklearn.externals.array_api_compat.dask"):
        import skops.io
        import skops.io.exceptions
    return skops.io


@contextmanager
def _not_imported(*modules: str) -> Iterator[None]:
    """Keep modules from being imported, unless they are.

    skops, as it is imported, looks through all of scikit-learn for estimators: also through what connects it to PyTorch
    and to Dask, and so imports those where they are installed, which is 1 s of a step.
    """
    absent = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
