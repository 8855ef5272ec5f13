"""What a lesson's cells import: connect, wait, score, track, watch, show, name, check, clean up. Short enough to read.

Everything else in a cell is ``azure-ai-ml`` itself, so that it can be carried over into your own code as it stands.
"""

import os

from helpers import exam
from helpers.acceptance import Acceptance
from helpers.attached import databricks_workspace, virtual_machine
from helpers.checking import check, quiz
from helpers.cleanup import delete_if_there, leftovers
from helpers.collected_data import collected, delete_collected
from helpers.connection import (
    connect,
    kubectl_apply,
    kubernetes_manifests,
    preempt,
    remove_identity,
    second_identity,
    spark_is_there,
)
from helpers.datastores import datastore_files
from helpers.docker_engine import docker_engine
from helpers.drifting import drift
from helpers.flight_data import (
    flight_tables,
    flights,
    is_late,
    register_delay_model,
    register_flight_tables,
    train_delay_model,
)
from helpers.folders import lesson_folder
from helpers.hosts import lend_hosts
from helpers.instances import watch_instances
from helpers.jobs import follow, stream_log, wait_for_job
from helpers.loads import load
from helpers.naming import unique_name
from helpers.nodes import node_states, watch_cluster
from helpers.pictures import show
from helpers.pipelines import download_output, draw_pipeline, job_log, step_statuses, steps, watch_pipeline
from helpers.prices import usd_a_month
from helpers.scoring import score
from helpers.standing import progress
from helpers.tracking import metrics, track
from helpers.waiting import busy, until_permitted, wait, wait_until

__all__ = [
    "Acceptance",
    "busy",
    "check",
    "collected",
    "connect",
    "databricks_workspace",
    "datastore_files",
    "delete_collected",
    "delete_if_there",
    "docker_engine",
    "download_output",
    "draw_pipeline",
    "drift",
    "exam",
    "flight_tables",
    "flights",
    "follow",
    "is_late",
    "job_log",
    "kubectl_apply",
    "kubernetes_manifests",
    "leftovers",
    "lend_hosts",
    "lesson_folder",
    "load",
    "metrics",
    "node_states",
    "preempt",
    "progress",
    "quiz",
    "register_delay_model",
    "register_flight_tables",
    "remove_identity",
    "score",
    "second_identity",
    "show",
    "spark_is_there",
    "step_statuses",
    "steps",
    "stream_log",
    "track",
    "train_delay_model",
    "unique_name",
    "until_permitted",
    "usd_a_month",
    "virtual_machine",
    "wait",
    "wait_for_job",
    "wait_until",
    "watch_cluster",
    "watch_instances",
    "watch_pipeline",
]

# Read when scikit-learn or PyTorch is imported, after this. Threads of OpenMP else wait by computing nothing, and take
# the processors from the service beside: on two busy ones a training of 0.4 s took 4 s of them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
