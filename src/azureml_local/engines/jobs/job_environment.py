"""The environment of a job, on the machine where its nodes are; what a build says is kept with the job's run."""

from __future__ import annotations

import asyncio
from pathlib import Path

from azureml_local.engines import staging
from azureml_local.engines.blobs import BlobStorage
from azureml_local.engines.environments import Environments, Interpreter
from azureml_local.engines.jobs.spec import CommandSpec
from azureml_local.engines.requirements import EnvironmentBuildError
from azureml_local.engines.ssh.environments import interpreter_on
from azureml_local.engines.staging import BlobPath

BUILD_LOG = "azureml-logs/20_image_build_log.txt"


async def interpreter_for(
    spec: CommandSpec, environments: Environments, blobs: BlobStorage, folder: Path
) -> Interpreter:
    """Return the interpreter of a job's environment.

    Args:
        spec: the job.
        environments: of this machine.
        blobs: the storage.
        folder: the job's on this machine.

    Raises:
        EnvironmentBuildError: it cannot be had; the message is in Azure's words.
        MachineError: the attached machine that the job is to run on cannot be reached, or has no Python.
    """
    log = folder / BUILD_LOG.rpartition("/")[2]
    try:
        if spec.machine:
            return await interpreter_on(spec.machine, spec.environment, log)
        return await environments.interpreter_for(spec.environment, log)
    except EnvironmentBuildError as error:
        with log.open("a") as file:
            file.write(f"{error}\n")
        raise EnvironmentBuildError(
            f"Image build failed. For more details, check log file {BUILD_LOG}. {error}"
        ) from error
    finally:
        if await asyncio.to_thread(log.exists):
            await staging.upload(blobs, log, BlobPath(spec.artifacts.container, f"{spec.artifacts.path}/{BUILD_LOG}"))
