"""The service: its parts put together, brought up and taken down in order."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from azureml_local import admin_routes, attached_hosts, client_environment
from azureml_local.arm import ids, workspaces
from azureml_local.arm.access import assigned_roles, role_assignments
from azureml_local.arm.autoscale import engine as autoscale
from azureml_local.arm.batch import batch_deployments, batch_endpoints
from azureml_local.arm.compute import compute_instances, computes, kubernetes_clusters
from azureml_local.arm.context import Context
from azureml_local.arm.control_plane import ControlPlane
from azureml_local.arm.jobs.job_runs import JobRuns
from azureml_local.arm.jobs.tracking import Tracking
from azureml_local.arm.monitor import log_analytics
from azureml_local.arm.monitor.resource_logs import ResourceLogs
from azureml_local.arm.online import online_deployments, online_endpoints
from azureml_local.arm.online.container_logs import ContainerLogs
from azureml_local.arm.operations import Operations
from azureml_local.arm.schedules import firing, schedules
from azureml_local.arm.storage import storage_accounts
from azureml_local.arm.storage.stored_accounts import StorageAccounts
from azureml_local.dataplane import batch_jobs, discovery, node_requests, registries, resolved_uris, run_history
from azureml_local.dataplane.batch_invocation import EndpointHosts
from azureml_local.dataplane.databricks.workspaces import Workspaces as DatabricksWorkspaces
from azureml_local.dataplane.endpoint_metrics import EndpointMetrics
from azureml_local.dataplane.key_vault import KeyVault
from azureml_local.dataplane.log_queries import LogQueries
from azureml_local.dataplane.mlflow import TrackingApi
from azureml_local.dataplane.model_data import PayloadLogging, receiver
from azureml_local.dataplane.scoring import ScoringRouter
from azureml_local.dataplane.secret_injection import SecretInjection
from azureml_local.dataplane.storage import StorageApp
from azureml_local.dataplane.traffic_log import TrafficLog
from azureml_local.dataplane.vault_secrets import VaultSecrets
from azureml_local.docker_stand_in.api import DockerStandIn
from azureml_local.edge import hosts
from azureml_local.edge.faults import FaultInjector
from azureml_local.edge.listening import Place, refusal
from azureml_local.edge.proxy import Edge
from azureml_local.edge.tls import Authority
from azureml_local.engines.azurite import Azurite
from azureml_local.engines.blobs import BlobStorage
from azureml_local.engines.compute.hosts import Hosts
from azureml_local.engines.compute.pools import Pools, machine_capacity
from azureml_local.engines.data_collection.collector import DataCollectors
from azureml_local.engines.environments import Environments
from azureml_local.engines.jobs.runner import JobRunner
from azureml_local.engines.jobs.spec import CommandSpec, Gateway, Storage
from azureml_local.engines.kubernetes.scheduling import Scheduler
from azureml_local.engines.log_store.client import LogStore
from azureml_local.engines.log_store.stream import EventStream
from azureml_local.engines.metric_store import MetricStore
from azureml_local.engines.mlflow_server import MlflowServer
from azureml_local.engines.serving import Serving
from azureml_local.engines.spark.driver import Drivers
from azureml_local.home import Home, HomeError, Settings
from azureml_local.identity import managed_identity, roles
from azureml_local.identity.authorizer import Authorizer
from azureml_local.identity.directory import Directory
from azureml_local.identity.endpoint_identity import EndpointIdentity
from azureml_local.identity.entra import Entra
from azureml_local.identity.tokens import TokenService
from azureml_local.store import Store

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
Part = TypeVar("Part")


class Service:
    """One Azure ML in one state folder.

    Args:
        home: the state folder.
        settings: its settings.
        upstream_proxy: the user's own proxy, for hosts that are not served; or None.
        place: where beyond loopback the edge also listens; or None.
    """

    def __init__(self, home: Home, settings: Settings, upstream_proxy: str | None, place: Place | None = None) -> None:
        self.home = home
        self.settings = settings
        self.port = 0
        self.listens_at = ""  # beyond loopback, HOST:PORT
        self._place = place
        self._server: asyncio.Server | None = None
        self._listener: asyncio.Server | None = None
        self.tokens = _whole(home.signing_key, lambda: TokenService(home.signing_key, settings.tenant_id))
        authority = _whole(home.tls, lambda: Authority(home.tls, hosts.domains()))
        self.store = Store(home.database)
        self.directory = Directory(self.store, settings)
        self.authorizer = Authorizer(self.store)
        self.endpoint_identity = EndpointIdentity(self.store, self.tokens)
        self.vault_secrets = VaultSecrets(self.store, settings, self.authorizer, self.tokens)
        self.operations = Operations(self.store)
        self.blobs = BlobStorage(settings.storage_account, settings.storage_key)
        self.accounts = StorageAccounts(self.store, settings, self.blobs)
        self.azurite = Azurite(
            home.storage,
            home.logs / "azurite.log",
            self.accounts.keys,
            self.blobs.set_address,
        )
        environments = Environments(home.environments)
        self.collectors = DataCollectors(self.blobs)
        injection = SecretInjection(self.store, self.endpoint_identity, self.vault_secrets)
        self.serving = Serving(
            home,
            self.blobs,
            environments,
            self._instance_environment,
            self.collectors,
            injection.read,
            Scheduler(partial(kubernetes_clusters.cluster, self.store)),
        )
        self.runner = JobRunner(
            home.jobs,
            home.logs / "nodes.log",
            self.blobs,
            self._node_storage,
            environments,
            self._network,
            self._job_variables,
            self._gateway,
        )
        self.hosts = Hosts(self._edge_from, lambda: self.pools.retry())
        self.pools = Pools(self.runner.nodes, machine_capacity(), self.hosts)
        self.router = ScoringRouter(self.store, self.serving, self.tokens, self.authorizer)
        self.router.listen(PayloadLogging(self.serving))
        self.log_store = LogStore(home, self.store, lambda: log_analytics.retention(self.store))
        self.stream = EventStream(self.log_store)
        self.mlflow = MlflowServer(home.mlflow, home.sockets, home.logs / "mlflow.log")
        self.metrics = MetricStore(home.metrics)
        self.context = Context(
            settings,
            self.store,
            self.operations,
            self.tokens,
            self.directory,
            self.authorizer,
            self.blobs,
            self.accounts,
            self.azurite,
            self.serving,
            self.router,
            self.pools,
            self.hosts,
            self.runner,
            ResourceLogs(self.store, self.log_store.wake),
            self.log_store,
            Tracking(self.store, self.tokens, self.mlflow),
            self.metrics,
        )
        self.traffic_log = TrafficLog(self.store, self.context.events, self.stream)
        self.router.listen(self.traffic_log)
        self.endpoint_metrics = EndpointMetrics(self.store, self.serving, self.metrics)
        self.router.listen(self.endpoint_metrics)
        self.container_logs = ContainerLogs(self.context, self.stream)
        self.job_runs = JobRuns(self.context)
        self.context.job_runs = self.job_runs
        self.databricks = DatabricksWorkspaces(self.context, home.databricks, Drivers(environments, self._network))
        self.context.databricks = self.databricks
        computes.register_operations(self.context)
        compute_instances.register_operations(self.context)
        online_endpoints.register_operations(self.context)
        online_deployments.register_operations(self.context)
        batch_endpoints.register_operations(self.context)
        batch_deployments.register_operations(self.context)
        schedules.register_operations(self.context)
        self.docker = DockerStandIn(home.docker, environments)
        self.faults = FaultInjector()
        applications = {name: self.faults.around(name, app) for name, app in self.applications().items()}
        applications["admin"] = admin_routes.application(self.faults, self.context)
        applications["model_data"] = receiver(self.collectors)
        applications["docker"] = self.docker.app
        self.edge = Edge(applications, authority, upstream_proxy)
        self._admin: asyncio.Server | None = None
        self._docker: asyncio.Server | None = None
        self._model_data: asyncio.Server | None = None

    async def start(self, port: int) -> None:
        """Bring everything up and listen on loopback.

        Raises:
            OSError: the port is taken.
            ListenError: the edge cannot listen where it is also to.
            AzuriteError: the storage does not start.
        """
        for left_behind in self.home.sockets.glob("*.sock"):  # by a service that was killed
            left_behind.unlink()
        shutil.rmtree(self.home.docker, ignore_errors=True)
        self._server = await self.edge.listen(LOOPBACK, port)
        self.port = self._server.sockets[0].getsockname()[1]
        await self._listen_beyond_loopback()
        storage_accounts.ensure_own(self.context)
        await self.azurite.start()
        self._ensure_own_roles()
        await self._ensure_default_workspace()
        workspaces.complete(self.context)
        self._ensure_log_workspace()
        self.log_store.start()
        self.stream.start()
        self.router.load()
        self._model_data = await self._listen_for_model_data()
        deployments = self.store.all_of(online_deployments.TYPE)
        # Instances take seconds to start; the control plane answers meanwhile. What served before goes on serving
        # while an operation that was cut off is carried out again.
        await self.serving.restore([deployment.id for deployment in deployments])
        self.container_logs.start()
        self.operations.resume()
        attached_hosts.resume(self.context)
        computes.open_all(self.context)
        await self.job_runs.resume()
        self.databricks.resume()
        firing.arm_all(self.context)
        autoscale.arm_all(self.context)
        self._docker = await self._listen_on_socket("docker", self.home.docker_socket)
        self._admin = await self._listen_on_socket("admin", self.home.admin_socket)
        await self._server.start_serving()
        if self._listener:
            await self._listener.start_serving()

    async def stop(self) -> None:
        """Take everything down; what is in flight is answered, what is unfinished is resumed at the next start."""
        for server in (self._server, self._listener, self._admin, self._docker):
            if server:
                server.close()
        await self.edge.close()
        await self.docker.close()
        self.context.timers.cancel("")
        await self.operations.close()
        await self.job_runs.close()
        await self.databricks.close()
        await self.pools.close()
        await self.endpoint_metrics.close()
        await self.hosts.close()
        await self.serving.close()
        if self._model_data:  # to the last, instances send what they have collected
            self._model_data.close()
        await self.container_logs.close()
        await self.traffic_log.close()
        await self.stream.close()
        await self.log_store.close()
        await self.mlflow.stop()
        await self.azurite.stop()
        self.metrics.close()
        self.store.close()
        for socket in (self.home.admin_socket, self.home.docker_socket):
            socket.unlink(missing_ok=True)

    async def _listen_beyond_loopback(self) -> None:
        if self._place is None:
            return
        port = self._place.port or self.port
        try:
            self._listener = await self.edge.listen(self._place.address, port, only_served=True)
        except OSError as error:
            raise refusal(error, self._place, port) from error
        self.listens_at = self._place.at(port)

    async def _listen_on_socket(self, application: str, path: Path) -> asyncio.Server:
        """Serve an application on a socket of the service's own user. What is left there is replaced."""
        await asyncio.to_thread(path.unlink, missing_ok=True)
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: self.edge.http_protocol(application, None), path
        )
        os.chmod(path, 0o600)  # noqa: PTH101 - nothing that blocks
        return server

    async def _listen_for_model_data(self) -> asyncio.Server:
        server = await asyncio.get_running_loop().create_server(
            lambda: self.edge.http_protocol("model_data", None), LOOPBACK, 0
        )
        self.collectors.port = server.sockets[0].getsockname()[1]
        return server

    def applications(self) -> Mapping[str, Any]:
        """Return the ASGI applications by the names that the edge's host table uses."""
        return {
            "arm": ControlPlane(self.context),
            "entra": Entra(self.settings, self.tokens, self.directory).app,
            "workspace_api": discovery.application(
                *run_history.routes(self.context),
                *resolved_uris.routes(self.context),
                *batch_jobs.routes(self.context),
                *node_requests.routes(self.context),
                Mount("/mlflow", TrackingApi(self.context)),
                *registries.routes(self.context),
            ),
            "scoring": EndpointHosts(self.context, self.router),
            "databricks": self.databricks,
            "key_vault": KeyVault(self.vault_secrets, self.tokens).app,
            "storage": StorageApp(self.accounts, self.tokens, self.authorizer, self.home.storage),
            "log_queries": LogQueries(self.context).app,
            "telemetry": Starlette(routes=[Route("/{path:path}", _swallow, methods=["GET", "POST"])]),
            "local": Starlette(
                routes=[
                    Route("/", _greet),
                    managed_identity.route(self.settings, self.tokens),
                    self.endpoint_identity.route(),
                ]
            ),
        }

    def _ensure_own_roles(self) -> None:
        """Give the installation's own identity its roles, also in a folder of a version that knew none."""
        own = self.directory.own
        subscription = ids.SUBSCRIPTION.format(subscription=self.settings.subscription_id)
        with self.store.transaction():
            for name in role_assignments.OWN_ROLES:
                role = roles.BY_NAME[name.lower()]
                assigned_roles.assign(self.store, subscription, role, own, by=own.object_id)

    async def _ensure_default_workspace(self) -> None:
        name = self.settings.workspace
        workspace_id = ids.WORKSPACE.format(
            subscription=self.settings.subscription_id, resource_group=self.settings.resource_group, workspace=name
        )
        if self.store.get(workspace_id) is None:
            await workspaces.provision(
                self.context,
                workspace_id,
                location=self.settings.location,
                properties={"friendlyName": name},
                tags={},
                kind="Default",
                principal=self.settings.client_object_id,
            )

    def _node_storage(self) -> Storage:
        port = self.blobs.upstream.address.port
        assert port is not None  # noqa: S101 - Azurite listens on one
        return Storage(self.settings.storage_account, self.settings.storage_key, port)

    def _job_variables(self, spec: CommandSpec) -> Mapping[str, str]:
        """Return the variables that let a job's code find its own run in MLflow."""
        job = self.store.get(spec.id)
        workspace = self.store.get(ids.workspace_of(spec.id))
        submitter = self.directory.holder(job.created_by) if job else None
        if job is None or workspace is None:  # deleted meanwhile
            return {}
        if submitter is None:
            logger.warning(
                "job %s runs without MLflow's variables: the identity %s that submitted it was deleted",
                job.id,
                job.created_by,
            )
            return {}
        return self.context.mlflow.variables(workspace, job.name, job.properties["experimentName"], submitter)

    def _edge_from(self, is_here: bool) -> str | None:
        """Return where a node finds the edge: on this machine, or on another; None where it does not."""
        return f"{LOOPBACK}:{self.port}" if is_here else self.listens_at or None

    def _gateway(self, edge: str, token: str) -> Gateway:
        """Return how a node on another machine reaches this service."""
        return Gateway(
            edge,
            self.edge.authority.certificate_file.read_text(),
            hosts.workspace_host(self.settings.location),
            token,
            self.settings.storage_account,
        )

    def _ensure_log_workspace(self) -> None:
        settings = self.settings
        workspace_id = ids.LOG_WORKSPACE.format(
            subscription=settings.subscription_id,
            resource_group=settings.resource_group,
            log_workspace=settings.log_workspace,
        )
        if self.store.get(workspace_id) is None:
            by = settings.client_object_id
            log_analytics.provision(self.store, workspace_id, location=settings.location, properties={}, tags={}, by=by)

    def _instance_environment(self, deployment_id: str) -> Mapping[str, str]:
        """Return the variables that let a deployment's code reach this service as its endpoint's identity."""
        endpoint_id = deployment_id.rpartition("/deployments/")[0]
        return {**self._network(), **self.endpoint_identity.variables(endpoint_id, self.port)}

    def _network(self) -> Mapping[str, str]:
        """Return the variables that let code reach this service, without anybody's secret."""
        return client_environment.network(self.port, self.home, base={})


def _whole(path: Path, read: Callable[[], Part]) -> Part:
    """Return what is read from ``path``. Raises HomeError where that is damaged; it can be made anew."""
    try:
        return read()
    except (ValueError, TypeError) as error:
        raise HomeError(
            f"{path} is damaged ({error}). Delete it, and start again: a new one is made. Programs that are running "
            "then have to be started again, too."
        ) from error


async def _greet(_: Request) -> Response:
    return PlainTextResponse("azureml-local\n")


async def _swallow(request: Request) -> Response:
    """Take what clients report of themselves to Application Insights, and keep none of it."""
    async for _ in request.stream():
        continue
    return JSONResponse({"itemsReceived": 0, "itemsAccepted": 0, "errors": []})
