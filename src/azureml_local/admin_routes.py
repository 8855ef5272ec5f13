"""What a running service does for commands on this machine; see :mod:`azureml_local.admin`."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azureml_local import attached_hosts, identities, kubernetes, nodes
from azureml_local.arm.context import Context
from azureml_local.edge.faults import Fault, FaultInjector
from azureml_local.engines.compute.hosts import HostsError, SchedulerSettings
from azureml_local.engines.compute.pool import PreemptionError
from azureml_local.http.errors import AzureError, said
from azureml_local.identity.directory import DirectoryError
from azureml_local.kubernetes import KubernetesError


def application(faults: FaultInjector, context: Context) -> Starlette:
    """Return the application behind the admin socket."""

    async def list_faults(_: Request) -> Response:
        return JSONResponse(faults.list())

    async def add_fault(request: Request) -> Response:
        try:
            fault = Fault(**await request.json())
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"id": faults.add(fault)}, 201)

    async def clear_faults(_: Request) -> Response:
        faults.clear()
        return JSONResponse(None)

    async def remove_fault(request: Request) -> Response:
        fault_id = request.path_params["fault"]
        if not faults.remove(fault_id):
            return JSONResponse({"error": f"There is no fault '{fault_id}'."}, 404)
        return JSONResponse(None)

    async def list_identities(_: Request) -> Response:
        return JSONResponse(identities.listed(context))

    async def create_identity(request: Request) -> Response:
        asked: dict[str, Any] = await request.json()
        return JSONResponse(identities.create(context, asked["name"], asked["role"], asked["scope"]), 201)

    async def delete_identity(request: Request) -> Response:
        identities.delete(context, request.path_params["name"])
        return JSONResponse(None)

    async def list_nodes(request: Request) -> Response:
        return JSONResponse(nodes.listed(context, request.query_params.get("compute")))

    async def preempt(request: Request) -> Response:
        asked: dict[str, Any] = await request.json()
        return JSONResponse(nodes.preempt(context, request.path_params["compute"], asked["node"]))

    async def set_preemption(request: Request) -> Response:
        asked: dict[str, Any] = await request.json()
        nodes.set_preemption(context, request.path_params["compute"], asked["rate"], asked["seed"])
        return JSONResponse(None)

    async def list_clusters(request: Request) -> Response:
        return JSONResponse(kubernetes.listed(context, request.query_params.get("cluster")))

    async def change_cluster(request: Request) -> Response:
        asked: dict[str, Any] = await request.json()
        change = kubernetes.apply if request.method == "PUT" else kubernetes.delete
        return JSONResponse(change(context, asked["cluster"], asked["objects"]))

    async def set_reachable(request: Request) -> Response:
        asked: dict[str, Any] = await request.json()
        kubernetes.set_reachable(context, asked["cluster"], reachable=asked["reachable"])
        return JSONResponse(None)

    async def export(request: Request) -> Response:
        asked: dict[str, Any] = await request.json()
        return JSONResponse(kubernetes.export(context, asked["deployment"], asked["image"]))

    async def list_hosts(_: Request) -> Response:
        return JSONResponse(attached_hosts.listed(context))

    async def attach_hosts(request: Request) -> Response:
        asked: dict[str, Any] = await request.json()
        await attached_hosts.attach(context, SchedulerSettings(**{**asked, "computes": tuple(asked["computes"])}))
        return JSONResponse(None)

    async def detach_hosts(request: Request) -> Response:
        await attached_hosts.detach(context, request.query_params["scheduler"])
        return JSONResponse(None)

    return Starlette(
        routes=[
            Route("/faults", list_faults),
            Route("/faults", add_fault, methods=["POST"]),
            Route("/faults", clear_faults, methods=["DELETE"]),
            Route("/faults/{fault}", remove_fault, methods=["DELETE"]),
            Route("/identities", list_identities),
            Route("/identities", create_identity, methods=["POST"]),
            Route("/identities/{name}", delete_identity, methods=["DELETE"]),
            Route("/hosts", list_hosts),
            Route("/hosts", attach_hosts, methods=["PUT"]),
            Route("/hosts", detach_hosts, methods=["DELETE"]),
            Route("/nodes", list_nodes),
            Route("/nodes/{compute:path}/preempt", preempt, methods=["POST"]),
            Route("/nodes/{compute:path}/preemption", set_preemption, methods=["PUT"]),
            Route("/kubernetes", list_clusters),
            Route("/kubernetes", change_cluster, methods=["PUT", "DELETE"]),
            Route("/kubernetes/reachable", set_reachable, methods=["POST"]),
            Route("/kubernetes/export", export, methods=["POST"]),
        ],
        exception_handlers={
            DirectoryError: _refused,
            HostsError: _refused,
            PreemptionError: _refused,
            KubernetesError: _refused,
            AzureError: _refused,
        },
    )


async def _refused(_: Request, error: Exception) -> Response:
    message = said(error) if isinstance(error, AzureError) else str(error)
    return JSONResponse({"error": message}, 400)
