"""Who is calling, as SCIM has it: https://docs.databricks.com/api/azure/workspace/currentuser/me."""

from __future__ import annotations

from starlette.responses import Response

from azureml_local.dataplane.databricks.call import ApiRoutes, Call, done

routes = ApiRoutes("/api/2.0")


@routes.route("GET", "/preview/scim/v2/Me")
async def me(call: Call) -> Response:
    """Return the caller."""
    number = str(int(call.principal.object_id.replace("-", "")[:13], 16))
    return done({"id": number, "userName": call.user, "displayName": call.user, "active": True})
