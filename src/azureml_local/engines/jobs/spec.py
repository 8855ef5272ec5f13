"""What a job is to run, with every id in it resolved to a place in storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from azureml_local.engines.staging import BlobPath


@dataclass(frozen=True)
class Storage:
    """The storage account, as a node reaches it. ``key`` is base64, and secret."""

    account: str
    key: str
    port: int


@dataclass(frozen=True)
class Input:
    """An input: a ``literal``, or the data at ``source``. ``kind`` is Azure's jobInputType."""

    kind: str
    literal: str | None = None
    source: BlobPath | None = None


@dataclass(frozen=True)
class Output:
    """An output: where what the job writes goes. ``kind`` is Azure's jobOutputType."""

    kind: str
    target: BlobPath


@dataclass(frozen=True)
class Distribution:
    """How many processes run on each of how many nodes; ``kind`` is Azure's distributionType, None for one process."""

    kind: str | None = None
    instances: int = 1
    processes: int = 1


@dataclass(frozen=True)
class CommandSpec:
    """A command job.

    Args:
        job: its name, which is its run's id.
        command: as submitted, with ``${{inputs.…}}`` and ``${{outputs.…}}`` in it.
        code: the folder that it starts in; None for an empty one.
        environment: an environment version's properties.
        artifacts: the folder of the run's logs and of what it writes to ``./outputs``.
        timeout: seconds that it may run; None for no limit.
    """

    job: str
    command: str
    code: BlobPath | None
    environment: Mapping[str, Any]
    environment_variables: Mapping[str, str]
    inputs: Mapping[str, Input]
    outputs: Mapping[str, Output]
    artifacts: BlobPath
    distribution: Distribution = field(default_factory=Distribution)
    timeout: float | None = None


@dataclass(frozen=True)
class Attempt:
    """What one node does of one attempt to run a job.

    Args:
        spec: the job.
        number: counts attempts, from 1: a job whose node was lost is run again.
        rank: the node's, from 0.
        folder: the job's own, which its nodes on this machine share.
        python: the interpreter of the job's environment.
        variables: added to the process's environment.
        storage: where files come from and go to.
    """

    spec: CommandSpec
    number: int
    rank: int
    folder: str
    python: str
    variables: Mapping[str, str]
    storage: Storage


@dataclass(frozen=True)
class Result:
    """How a node's part of a job ended: the command's exit code, or ``error`` where it could not be run."""

    exit_code: int
    error: str | None = None
