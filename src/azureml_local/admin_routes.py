"""What a running service does for commands on this machine; see :mod:`azureml_local.admin`."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azureml_local.edge.faults import Fault, FaultInjector


def application(faults: FaultInjector) -> Starlette:
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

    return Starlette(
        routes=[
            Route("/faults", list_faults),
            Route("/faults", add_fault, methods=["POST"]),
            Route("/faults", clear_faults, methods=["DELETE"]),
            Route("/faults/{fault}", remove_fault, methods=["DELETE"]),
        ]
    )
