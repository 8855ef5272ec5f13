"""The Libraries API, for packages of PyPI: https://docs.databricks.com/api/azure/workspace/libraries."""

from __future__ import annotations

from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from starlette.responses import Response

from azureml_local.dataplane.databricks import clusters
from azureml_local.dataplane.databricks.call import ApiRoutes, Call, Fields, done
from azureml_local.dataplane.databricks.cluster_life import TYPE
from azureml_local.dataplane.databricks.errors import invalid, lacking
from azureml_local.store import Resource

OTHERS = ("cran", "egg", "jar", "maven", "requirements", "whl")

routes = ApiRoutes("/api/2.0/libraries")


@routes.route("POST", "/install")
async def install(call: Call) -> Response:
    """Begin to install packages on a cluster."""
    cluster = clusters.require(call)
    call.workspaces.clusters.install(cluster, packages(call.sent))
    return done()


@routes.route("POST", "/uninstall")
async def uninstall(call: Call) -> Response:
    """Take packages away from a cluster."""
    cluster = clusters.require(call)
    call.workspaces.clusters.uninstall(cluster, packages(call.sent))
    return done()


@routes.route("GET", "/cluster-status")
async def cluster_status(call: Call) -> Response:
    """Say how far the installation of a cluster's packages is."""
    return done(_statuses(clusters.require(call)))


@routes.route("GET", "/all-cluster-statuses")
async def all_cluster_statuses(call: Call) -> Response:
    """Say so of every cluster."""
    found = call.workspaces.store.children(TYPE, call.workspace.id)
    return done({"statuses": [_statuses(cluster) for cluster in found]})


def packages(sent: Fields) -> list[str]:
    """Return the packages that ``libraries`` asks for. Raises 400, or 501 for another kind of library."""
    found = []
    for library in sent.each("libraries", []):
        library.refuse(OTHERS)
        pypi = library.inner("pypi")
        pypi.refuse(("repo",))
        package = pypi.text("package")
        try:
            if Requirement(package).url:
                raise lacking("libraries from an address")
        except InvalidRequirement as error:
            raise invalid(f"The library '{package}' is no package: {error}.") from error
        found.append(package)
    return found


def _statuses(cluster: Resource) -> dict[str, Any]:
    statuses = [{**one, "is_library_for_all_clusters": False} for one in cluster.body["libraries"]]
    return {"cluster_id": cluster.name, "library_statuses": statuses}
