"""How a pipeline that cannot be run is refused: by the frontend's 400, which names the step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azureml_local.arm.jobs.refusals import user_error
from azureml_local.arm.pipelines.interfaces import InterfaceError
from azureml_local.http.errors import AzureError, FrontendError


@contextmanager
def about(step: str) -> Iterator[None]:
    """Say of an error which step it is of, given by its name and those of the steps that it lies in."""
    try:
        yield
    except InterfaceError as error:
        raise user_error(f"Step '{step}': {error}.") from error
    except FrontendError as error:
        said = error.detail[1] if error.detail else error.message
        raise user_error(f"Step '{step}': {said}") from error
    except AzureError as error:
        raise AzureError(error.status, error.code, f"Step '{step}': {error.message}", target=error.target) from error
