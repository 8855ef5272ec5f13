"""What a job is to run, with every id in it resolved to a place in storage.

What is secret, or may be, is left out of each ``repr``: Dask logs what a function that raises was called with.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from azureml_local.engines.ssh.machine import Machine
from azureml_local.engines.staging import BlobPath


class InputMode(enum.StrEnum):
    """How an input reaches a job: those of Azure's ``InputDeliveryMode`` that are served."""

    MOUNT = "ReadOnlyMount"
    DOWNLOAD = "Download"
    DIRECT = "Direct"


class TableMode(enum.StrEnum):
    """How a parallel job may have the MLTable that it splits, besides."""

    EVAL_MOUNT = "EvalMount"
    EVAL_DOWNLOAD = "EvalDownload"


class OutputMode(enum.StrEnum):
    """How an output leaves a job: Azure's ``OutputDeliveryMode``."""

    MOUNT = "ReadWriteMount"
    UPLOAD = "Upload"
    DIRECT = "Direct"


@dataclass(frozen=True)
class Storage:
    """The storage account, as a node reaches it. ``key`` is base64, and secret."""

    account: str
    key: str = field(repr=False)
    port: int


@dataclass(frozen=True)
class Input:
    """An input: a ``literal``, or data.

    Args:
        literal: what stands for the input in the command.
        source: where its data lies in storage.
        uri: of the data; what stands for a direct input in the command. Where there is no ``source``, it is fetched
            from there: a public ``http`` or ``https`` address.
        mode: how the data reaches the job.
        keeps_name: the job is given the folder in which the data lies under its own name, as models are.
    """

    literal: str | None = None
    source: BlobPath | None = None
    uri: str = ""
    mode: InputMode = InputMode.MOUNT
    keeps_name: bool = False


@dataclass(frozen=True)
class Output:
    """An output.

    Args:
        target: where in storage what the job writes goes.
        uri: of that place; what stands for a direct output in the command.
        is_file: it is one file, not a folder.
        mode: how it leaves the job.
    """

    target: BlobPath
    uri: str = ""
    is_file: bool = False
    mode: OutputMode = OutputMode.MOUNT


@dataclass(frozen=True)
class Distribution:
    """How many processes run on each of how many nodes; ``kind`` is Azure's distributionType, None for one process.

    ``workers`` and ``parameter_servers`` are TensorFlow's; ``processes``, on each node, everybody else's.
    """

    kind: str | None = None
    instances: int = 1
    processes: int = 1
    workers: int = 0
    parameter_servers: int = 0


@dataclass(frozen=True)
class ParallelTask:
    """What a parallel job does with each mini-batch of its input, and how much of it may fail.

    https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-parallel

    Args:
        entry_script: the Python file with ``init`` and ``run``, in the job's code; empty where ``model`` is one of
            MLflow's that is scored without.
        arguments: what the script finds in ``sys.argv``, with placeholders in it.
        input: the name of the input that is split.
        model: the name of the input whose place the script finds in ``AZUREML_MODEL_DIR``; None for none.
        is_table: whether the input is an MLTable, which may describe files or rows.
        mini_batch_size: how many files, or how large a part of a table (``10kb``); empty for Azure's default.
        partition_keys: the columns whose values all items of a mini-batch share; empty to split by size.
        rows_output: the output that what ``run`` returns is appended to; None where only its count matters.
        rows_file: the file in that output, where that is a folder.
        rows_must_be_new: the job fails where that file is in storage before it has begun.
        workers: processes on each node.
        error_threshold: how many items may fail. Where it is -1, what ``run`` returns is not counted: as many as there
            are may fail, and no mini-batch fails for it. None where it was not given: any number may fail.
        mini_batch_error_threshold: how many mini-batches may; -1 for all.
        allowed_failed_percent: how many of a hundred mini-batches may.
        max_retries: how often a mini-batch that failed is tried again.
        timeout: seconds for one call of ``run``.
        overhead_timeout: seconds to load a mini-batch for it.
        progress_timeout: seconds in which some mini-batch must end; None for no limit.
        logging_level: of the logs that scripts write.
        metrics_prefix: what the names of the job's own metrics begin with.
        pushes_metrics: the pipeline that the job is a step of has them, too.
    """

    entry_script: str
    arguments: str
    input: str
    model: str | None = None
    is_table: bool = False
    mini_batch_size: str = ""
    partition_keys: tuple[str, ...] = ()
    rows_output: str | None = None
    rows_file: str = ""
    rows_must_be_new: bool = False
    workers: int = 1
    error_threshold: int | None = None
    mini_batch_error_threshold: int = -1
    allowed_failed_percent: int = 100
    max_retries: int = 2
    timeout: float = 60.0
    overhead_timeout: float = 600.0
    progress_timeout: float | None = None
    logging_level: str = "INFO"
    metrics_prefix: str = ""
    pushes_metrics: bool = False


@dataclass(frozen=True)
class CommandSpec:
    """A command job, or a parallel one.

    Args:
        id: of the job, as the control plane knows it.
        job: its name, which is its run's id.
        command: as submitted, with ``${{inputs.…}}`` and ``${{outputs.…}}`` in it; empty for a parallel job.
        code: the folder or file that it starts beside; None for an empty folder.
        environment: an environment version's properties.
        environment_variables: the user's.
        inputs: by name; one that is optional and was not given is missing.
        outputs: by name.
        artifacts: the folder of the run's logs and of what it writes to ``./outputs``.
        variables: what Azure tells the job of itself.
        vm_size: of the nodes.
        distribution: its processes.
        timeout: seconds that it may run; None for no limit.
        parallel: what a parallel job does; None for a command job.
        machine: the attached machine that its processes run on; None for the nodes of a compute of Azure ML's.
    """

    id: str
    job: str
    command: str
    code: BlobPath | None
    environment: Mapping[str, Any]
    environment_variables: Mapping[str, str] = field(repr=False)
    inputs: Mapping[str, Input] = field(repr=False)
    outputs: Mapping[str, Output]
    artifacts: BlobPath
    variables: Mapping[str, str] = field(default_factory=dict)
    vm_size: str = ""
    distribution: Distribution = field(default_factory=Distribution)
    timeout: float | None = None
    parallel: ParallelTask | None = None
    machine: Machine | None = None

    def containers(self) -> Mapping[str, str]:
        """Return the containers that the job has to do with, and what it must be allowed in each, in SAS's letters."""
        read = [self.code, *(given.source for given in self.inputs.values())]
        written = [self.artifacts, *(output.target for output in self.outputs.values())]
        return {
            **{place.container: "rl" for place in read if place},
            **{place.container: "racwl" for place in written},
        }

    @property
    def key(self) -> str:
        """32 hexadecimal digits that no other job has, whatever its workspace."""
        return job_key(self.id)


def job_key(job_id: str) -> str:
    """Return :attr:`CommandSpec.key` of the job with this id."""
    return uuid.uuid5(uuid.NAMESPACE_URL, job_id.lower()).hex


@dataclass(frozen=True)
class Gateway:
    """How a node on another machine reaches the service: by its edge, and by nothing else.

    The account's key is not in it: storage is read and written by signatures, each for one container of the job's,
    which come with the answers to heartbeats.

    Args:
        edge: where the edge is reached from there, ``HOST:PORT``, or ``[HOST]:PORT`` for IPv6.
        authority: the certificate of the edge's authority, PEM.
        workspace_host: the host of the workspace's API, which takes heartbeats.
        token: by which the service knows this node's part of this attempt; secret.
        account: the storage account.
    """

    edge: str
    authority: str = field(repr=False)
    workspace_host: str
    token: str = field(repr=False)
    account: str


@dataclass(frozen=True)
class Attempt:
    """What one node does of one attempt to run a job.

    Args:
        spec: the job.
        number: counts attempts, from 1: a job whose node was lost is run again.
        rank: the node's, from 0.
        folder: the job's own, which its nodes on this machine share. A node on another machine has one to itself.
        python: the interpreter of the job's environment.
        notes: what to say of the environment.
        variables: added to the process's environment.
        storage: where files come from and go to on the service's own machine.
        ports: free ones, the same for each node: see :mod:`azureml_local.engines.jobs.distribution`.
        addresses: at which nodes on other machines reach each other, by their ranks; none where all are on this one.
        proxies: the user's own for the Internet, by the scheme; ``no`` names the hosts without.
        gateway: for a node on another machine, which finds ``folder``, ``python`` and ``notes`` for itself, and needs
            no ``storage``; None for one on the service's own.
    """

    spec: CommandSpec
    number: int
    rank: int
    folder: str
    python: str
    notes: tuple[str, ...]
    variables: Mapping[str, str] = field(repr=False)
    storage: Storage | None
    ports: tuple[int, ...] = ()
    addresses: tuple[str, ...] = ()
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    gateway: Gateway | None = None


@dataclass(frozen=True)
class Result:
    """How a node's part of an attempt ended.

    Args:
        error: why it failed; None where it did not.
        ended_at: when, in seconds since 1970.
        was_stopped: it did not end by itself.
        is_lost: it was stopped because its node is going.
        code: Azure's, of the error: whose fault it is.
    """

    error: str | None
    ended_at: float
    was_stopped: bool = False
    is_lost: bool = False
    code: str = "UserError"
