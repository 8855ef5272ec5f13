"""Deployments of MLflow models without a script: the environment that Azure ML makes of the model's own files.

The environment is Azure's image for MLflow models plus the packages of the model's conda file, and is named by a hash
of its content, so that a second deployment of the model finds it.
https://learn.microsoft.com/azure/machine-learning/how-to-deploy-mlflow-models#no-code-deployment
"""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePosixPath
from typing import Any

import yaml

from azureml_local import safe_yaml
from azureml_local.arm.assets import assets
from azureml_local.arm.context import Context
from azureml_local.engines.blobs import BlobError
from azureml_local.engines.serving import ServingError
from azureml_local.engines.staging import BlobPath, once_storage_answers
from azureml_local.http.upstream import UpstreamError
from azureml_local.store import Resource

IMAGE = "mcr.microsoft.com/azureml/curated/mlflow-py312-inference"
MODEL_TYPE = "mlflow_model"


async def make_environment(context: Context, workspace_id: str, files: BlobPath, principal: str) -> Resource:
    """Return the environment version for the MLflow model at ``files``; make it where there is none yet.

    Args:
        context: the service's parts.
        workspace_id: where the environment belongs.
        files: the model's folder in storage.
        principal: on whose behalf.

    Raises:
        ServingError: the folder holds no MLflow model that can be served.
    """
    description = await _read_yaml(context, files, "MLmodel")
    flavors = description.get("flavors")
    function = flavors.get("python_function") if isinstance(flavors, dict) else None
    if not isinstance(function, dict):
        raise _unfit("its MLmodel has no flavor python_function, which scoring needs")
    conda_file = _conda_file(function.get("env"))
    conda = await _read_yaml(context, files, conda_file) if conda_file else {}
    content = json.dumps([description, conda], sort_keys=True, default=str)
    definition = {"image": IMAGE, "condaFile": json.dumps(conda, indent=2, default=str)}
    return assets.ensure_version(
        context,
        workspace_id,
        "environments",
        hashlib.sha256(content.encode()).hexdigest(),
        hashlib.sha256(json.dumps(definition).encode()).hexdigest(),
        {**assets.BY_PLURAL["environments"].defaults, **definition},
        principal,
    )


def _conda_file(environment: Any) -> str | None:
    """Return the name of the conda file; MLflow 1 writes it bare, MLflow 2 and later beside a ``virtualenv``."""
    if isinstance(environment, dict):
        environment = environment.get("conda")
    return environment if isinstance(environment, str) else None


async def _read_yaml(context: Context, folder: BlobPath, name: str) -> dict[str, Any]:
    """Read a file of the model's folder, which must be a YAML mapping."""
    path = PurePosixPath(folder.path, name)
    if path.is_absolute() or ".." in path.parts:
        raise _unfit(f"its MLmodel names the file '{name}', which is not in the model's folder")

    async def read() -> bytes:
        return b"".join([piece async for piece in context.blobs.read_blob(folder.container, str(path))])

    try:
        content = safe_yaml.load((await once_storage_answers(read)).decode())
    except UpstreamError as error:
        raise ServingError("ResourceNotFound", str(error)) from error
    except BlobError as error:
        raise _unfit(f"there is no file '{name}' in its folder") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _unfit(f"its file '{name}' is no YAML: {error}") from error
    if not isinstance(content, dict):
        raise _unfit(f"its file '{name}' is no YAML mapping")
    return content


def _unfit(why: str) -> ServingError:
    return ServingError("BadArgument", f"The MLflow model cannot be deployed without a scoring script: {why}.")
