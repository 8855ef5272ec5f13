"""The Engine API as docker-py and the ``docker`` command speak it."""

from __future__ import annotations

import io
import json
import secrets
import shutil
import struct
import tarfile
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from azureml_local.docker_stand_in import NOTICE, DockerError, unsupported
from azureml_local.docker_stand_in.containers import Container
from azureml_local.docker_stand_in.dockerfile import Build, instructions
from azureml_local.docker_stand_in.images import Images, tagged
from azureml_local.engines.environments import Environments

VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.24", "Version": "0 (stand-in)", "Platform": {"Name": NOTICE}}
PING = {"Api-Version": "1.41", "Builder-Version": "1"}  # version 1: without BuildKit


class DockerStandIn:
    """One stand-in, with its images and containers. What it needs on the disk lies in ``folder``."""

    def __init__(self, folder: Path, environments: Environments) -> None:
        self._folder = folder
        self._images = Images(folder, environments)
        self._containers: dict[str, Container] = {}
        table = {
            "/_ping": {"GET": self._ping, "HEAD": self._ping},
            "/version": {"GET": self._version},
            "/build": {"POST": self._build},
            "/images/create": {"POST": self._pull},
            "/images/{name:path}/json": {"GET": self._image},
            "/containers/create": {"POST": self._create},
            "/containers/json": {"GET": self._list},
            "/containers/{id}": {"DELETE": self._remove},
            "/containers/{id}/json": {"GET": self._inspect},
            "/containers/{id}/logs": {"GET": self._logs},
            "/containers/{id}/{act:str}": {"POST": self._act},
            "/{path:path}": dict.fromkeys(("GET", "HEAD", "POST", "PUT", "DELETE"), _not_here),
        }
        routes = [Route(path, do, methods=[name]) for path, methods in table.items() for name, do in methods.items()]
        self.app = Starlette(
            routes=[Mount("/v{number}", routes=routes), *routes], exception_handlers={DockerError: _refused}
        )

    async def close(self) -> None:
        """End all containers and forget everything."""
        for container in self._containers.values():
            await container.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _ping(self, _: Request) -> Response:
        return Response("OK", headers=PING)

    async def _version(self, _: Request) -> Response:
        return JSONResponse(VERSION)

    async def _pull(self, request: Request) -> Response:
        asked = request.query_params
        name = tagged(asked["fromImage"], asked.get("tag") or "latest")
        image = self._images.base(name)

        async def pulled() -> AsyncIterator[dict[str, Any]]:
            yield {"status": f"{NOTICE}. Packages of {name}: {image.lines}"}
            yield {"status": await self._images.add(name, image)}

        return _streamed(pulled())

    async def _build(self, request: Request) -> Response:
        self._folder.mkdir(exist_ok=True)
        context = Path(tempfile.mkdtemp(dir=self._folder))
        with tarfile.open(fileobj=io.BytesIO(await request.body())) as archive:
            archive.extractall(context, filter="data")
        return _streamed(self._built(context, request.query_params))

    async def _built(self, context: Path, asked: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        yield {"stream": f"{NOTICE}\n"}
        build = Build(context, self._images, json.loads(asked.get("buildargs") or "{}"))
        steps = instructions((context / (asked.get("dockerfile") or "Dockerfile")).read_text())
        for number, (name, rest) in enumerate(steps, 1):
            yield {"stream": f"Step {number}/{len(steps)} : {name} {rest}\n"}
            build.carry_out(name, rest)
        yield {"stream": "Looking for its packages; those that are missing are installed, which can take minutes\n"}
        yield {"stream": await self._images.add(asked.get("t") or build.image.root.name, build.image) + "\n"}
        yield {"stream": f"Successfully built {build.image.root.name[:12]}\n"}
        shutil.rmtree(context)

    async def _image(self, request: Request) -> Response:
        image = self._images.get(request.path_params["name"])
        names = [name for name, one in self._images.named.items() if one is image]
        return JSONResponse({"Id": image.id, "RepoTags": names, "Config": image.config(), "Comment": NOTICE})

    async def _create(self, request: Request) -> Response:
        config = await request.json()
        name = request.query_params.get("name") or f"stand-in-{secrets.token_hex(4)}"
        if any(one.name == name for one in self._containers.values()):
            raise DockerError(409, f'Conflict. The container name "/{name}" is already in use.')
        made = Container(name, self._images.get(config["Image"]), config, self._folder / f"{secrets.token_hex(8)}.log")
        self._containers[made.id] = made
        return JSONResponse({"Id": made.id, "Warnings": [NOTICE]}, 201)

    async def _list(self, request: Request) -> Response:
        asked = request.query_params
        filters = json.loads(asked.get("filters") or "{}")
        if set(filters) - {"label"}:
            raise unsupported(f"filters by {', '.join(filters)}, only by label")
        shown = [
            one for one in self._containers.values() if asked.get("all") in ("1", "true") or one.status == "running"
        ]
        labels = [label.partition("=") for label in filters.get("label") or ()]
        return JSONResponse([one.listed() for one in shown if all(one.has(*label) for label in labels)])

    def _container(self, request: Request) -> Container:
        asked = request.path_params["id"]
        for one in self._containers.values():
            if one.name == asked or one.id.startswith(asked):
                return one
        raise DockerError(404, f"No such container: {asked}")

    async def _inspect(self, request: Request) -> Response:
        return JSONResponse(self._container(request).inspected())

    async def _logs(self, request: Request) -> Response:
        container, asked = self._container(request), request.query_params
        if asked.get("follow") in ("1", "true"):
            raise unsupported("logs that are followed")
        lines = container.log.read_bytes().splitlines(keepends=True) if container.log.exists() else []
        tail = asked.get("tail", "all")
        lines = lines[max(0, len(lines) - int(tail)) :] if tail.isdecimal() else lines
        if not container.config.get("Tty"):  # then each line says where it comes from: 1 is standard output
            lines = [struct.pack(">BxxxL", 1, len(line)) + line for line in lines]
        return Response(b"".join(lines), media_type="application/octet-stream")

    async def _act(self, request: Request) -> Response:
        acts = {"start": ("start",), "stop": ("stop",), "kill": ("stop",), "restart": ("stop", "start")}
        container, act = self._container(request), request.path_params["act"]
        if act not in acts:
            raise unsupported(f"to {act} a container")
        for step in acts[act]:
            await getattr(container, step)()
        return Response(status_code=204)

    async def _remove(self, request: Request) -> Response:
        container = self._container(request)
        if container.status == "running" and request.query_params.get("force") not in ("1", "true"):
            raise DockerError(
                409, f"You cannot remove a running container {container.name}: stop it first, or use force"
            )
        await container.stop()
        del self._containers[container.id]
        container.log.unlink(missing_ok=True)
        return Response(status_code=204)


def _streamed(said: AsyncIterator[dict[str, Any]]) -> Response:
    """Answer line by line; an error becomes the last line, as with Docker."""

    async def lines() -> AsyncIterator[str]:
        try:
            async for one in said:
                yield json.dumps(one) + "\n"
        except (DockerError, OSError) as error:
            yield json.dumps({"errorDetail": {"message": str(error)}, "error": str(error)}) + "\n"

    return StreamingResponse(lines(), media_type="application/json")


async def _refused(_: Request, error: Exception) -> Response:
    return JSONResponse({"message": str(error)}, error.status if isinstance(error, DockerError) else 500)


async def _not_here(request: Request) -> Response:
    raise unsupported(f"{request.method} {request.url.path}")
