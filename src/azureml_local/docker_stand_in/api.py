"""The Engine API as docker-py and the ``docker`` command speak it."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import struct
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from azureml_local.docker_stand_in import NOTICE, unsupported
from azureml_local.docker_stand_in.containers import Container
from azureml_local.engines.environments import Environments
from azureml_local.engines.images.dockerfile import Build, instructions
from azureml_local.engines.images.image import Image, Images, UnknownImageError, tagged
from azureml_local.engines.requirements import EnvironmentBuildError

VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.24", "Version": "stand-in", "Platform": {"Name": NOTICE}}
YES = ("1", "true", "True")
MOST_DIGITS = 18  # of a number that an engine takes: it has 64 bits


class DockerStandIn:
    """One stand-in, with its images and containers; what they have on the disk lies in ``folder``."""

    def __init__(self, folder: Path, environments: Environments) -> None:
        self._folder, self._images = folder, Images(folder, environments, self._users)
        self._containers: dict[str, Container] = {}
        table: tuple[tuple[str, str, Any], ...] = (
            ("GET", "/_ping", Response("OK", headers={"Api-Version": "1.41", "Builder-Version": "1"})),
            ("GET", "/version", JSONResponse(VERSION)),
            ("POST", "/build", self._build),
            ("POST", "/images/create", self._pull),
            ("GET", "/images/{name:path}/json", self._image),
            ("DELETE", "/images/{name:path}", self._forget),
            ("POST", "/containers/create", self._create),
            ("GET", "/containers/json", self._list),
            ("GET", "/containers/{id}/json", self._inspect),
            ("GET", "/containers/{id}/logs", self._logs),
            ("POST", "/containers/{id}/{act:str}", self._act),
            ("DELETE", "/containers/{id}", self._remove),
            *((method, "/{path:path}", _not_here) for method in ("GET", "POST", "PUT", "DELETE")),
        )
        routes = [Route(path, do, methods=[method]) for method, path, do in table]
        handlers = dict.fromkeys((HTTPException, EnvironmentBuildError), _refused)
        self.app = Starlette(routes=[Mount("/v{number}", routes=routes), *routes], exception_handlers=handlers)

    async def close(self) -> None:
        """End all containers and forget everything."""
        for container in self._containers.values():
            await container.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _pull(self, request: Request) -> Response:
        name = request.query_params.get("fromImage")
        if not name:
            raise unsupported("images that are imported, but only those that fromImage names")
        name = tagged(name, request.query_params.get("tag") or "latest")
        image = await asyncio.to_thread(self._images.base, name)
        return StreamingResponse(_lines(self._added(name, image, "status")))

    async def _added(self, name: str, image: Image, key: str) -> AsyncIterator[dict[str, str]]:
        yield {key: f"{NOTICE}.\nIt needs {', '.join(image.lines)}; what is missing is installed, in minutes.\n"}
        yield {key: await self._images.add(name, image) + "\n"}

    async def _build(self, request: Request) -> Response:
        # docker-py sends a Dockerfile of elsewhere along: its name in the context, and a second time what it says.
        asked = dict(reversed(request.query_params.multi_items()))
        arguments = _object(asked.get("buildargs") or "{}", "buildargs")
        build = Build(self._folder / secrets.token_hex(8), self._images.base, arguments)
        with tempfile.TemporaryFile() as sent:
            async for piece in request.stream():
                sent.write(piece)
            await asyncio.to_thread(build.unpack, sent)
        return StreamingResponse(_lines(self._built(build, asked)))

    async def _built(self, build: Build, asked: Mapping[str, str]) -> AsyncIterator[dict[str, str]]:
        try:
            steps = instructions(build.read(asked.get("dockerfile") or "Dockerfile"))
            for number, (name, rest) in enumerate(steps, 1):
                yield {"stream": f"Step {number}/{len(steps)} : {name} {rest}\n"}
                await asyncio.to_thread(build.carry_out, name, rest)
            async for said in self._added(asked.get("t") or build.image.root.name, build.image, "stream"):
                yield said
        except BaseException:
            build.discard_image()
            raise
        finally:
            shutil.rmtree(build.context, ignore_errors=True)
        yield {"stream": f"Successfully built {build.image.root.name[:12]}\n"}

    async def _image(self, request: Request) -> Response:
        image = self._images.get(request.path_params["name"])
        config = {"Cmd": image.command, "ExposedPorts": {port: {} for port in image.ports}, "WorkingDir": image.folder}
        return JSONResponse({"Id": image.id, "RepoTags": self._images.names(image), "Config": config})

    async def _forget(self, request: Request) -> Response:
        image = self._images.get(request.path_params["name"])
        if users := self._users(image):
            raise HTTPException(409, f"unable to remove the image: container {users[0]} is using it")
        return JSONResponse([{"Untagged": name} for name in await self._images.remove(image)])

    def _users(self, image: Image) -> list[str]:
        return [one.name for one in self._containers.values() if one.image is image]

    async def _create(self, request: Request) -> Response:
        config = _object((await request.body()).decode(errors="replace"), "the request's body")
        name = request.query_params.get("name") or f"stand-in-{secrets.token_hex(4)}"
        if any(one.name == name for one in self._containers.values()):
            raise HTTPException(409, f"Conflict. The container name {name} is already in use.")
        if not isinstance(image := config.get("Image"), str) or not image:
            raise HTTPException(400, "config.Image is missing; it must be the name of an image")
        log = self._folder / f"{secrets.token_hex(8)}.log"
        try:
            made = Container(name, self._images.get(image), config, log)
        except (AttributeError, TypeError, ValueError) as error:
            raise HTTPException(400, f"The container's configuration is malformed: {error}") from error
        self._containers[made.id] = made
        return JSONResponse({"Id": made.id, "Warnings": [NOTICE]}, 201)

    async def _list(self, request: Request) -> Response:
        filters = _object(request.query_params.get("filters") or "{}", "filters")
        if set(filters) - {"label"}:
            raise unsupported(f"filters by {', '.join(filters)}, but by label")
        labels = _labels(filters.get("label", []))
        shown = [one for one in self._containers.values() if one.is_labelled(labels)]
        everything = request.query_params.get("all") in YES
        return JSONResponse([one.listed() for one in shown if everything or one.status == "running"])

    def _container(self, request: Request) -> Container:
        asked = request.path_params["id"]
        for one in self._containers.values():
            if one.name == asked or one.id.startswith(asked):
                return one
        raise HTTPException(404, f"No such container: {asked}")

    async def _inspect(self, request: Request) -> Response:
        return JSONResponse(self._container(request).described())

    async def _logs(self, request: Request) -> Response:
        container, asked = self._container(request), request.query_params
        if asked.get("follow") in YES:
            raise unsupported("logs that are followed")
        tail = asked.get("tail", "all")  # as an engine does, take what is no number for all
        if tail.isdecimal() and len(tail) > MOST_DIGITS:
            raise HTTPException(
                400, f"tail is {tail[:60]}; it must be a number of at most {MOST_DIGITS} digits, or all"
            )
        lines = container.log.read_bytes().splitlines(keepends=True) if container.log.exists() else []
        lines = lines[max(0, len(lines) - int(tail)) :] if tail.isdecimal() else lines
        if not container.config.get("Tty"):  # without a terminal each piece says its stream and its length
            lines = [struct.pack(">BxxxL", 1, len(line)) + line for line in lines]
        return Response(b"".join(lines))

    async def _act(self, request: Request) -> Response:
        acts = {"start": Container.start, "stop": Container.stop, "kill": Container.kill, "restart": Container.restart}
        if request.path_params["act"] not in acts:
            return await _not_here(request)
        is_done = await acts[request.path_params["act"]](self._container(request))
        return Response(status_code=204 if is_done else 304)

    async def _remove(self, request: Request) -> Response:
        container = self._container(request)
        if container.status == "running" and request.query_params.get("force") not in YES:
            raise HTTPException(409, f"You cannot remove a running container, {container.name}: stop it, or use force.")
        await container.remove()
        self._containers.pop(container.id, None)
        await self._images.discard_unused(container.image)
        return Response(status_code=204)


def _object(text: str, what: str) -> dict[str, Any]:
    """Return the JSON object that a client has sent. Raises HTTPException."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"{what} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise HTTPException(400, f"{what} must be a JSON object, not {text[:60]}")
    return found


def _labels(sent: Any) -> list[str]:
    """Return the labels of a filter: a list, or as older clients send it an object by them. Raises HTTPException."""
    if not isinstance(sent, list | dict) or not all(isinstance(one, str) for one in sent):
        raise HTTPException(400, f"filters.label is {json.dumps(sent)[:60]}; it must be a list of texts")
    return [*sent]


async def _lines(said: AsyncIterator[dict[str, str]]) -> AsyncIterator[str]:
    try:
        async for one in said:
            yield json.dumps(one) + "\n"
    except (EnvironmentBuildError, OSError) as error:  # once an answer has begun, an error is its last line
        yield json.dumps({"error": str(error), "errorDetail": {"message": str(error)}}) + "\n"


async def _not_here(request: Request) -> Response:
    raise unsupported(f"{request.method} {request.url.path}")


async def _refused(_: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, UnknownImageError) else getattr(error, "status_code", 400)
    return JSONResponse({"message": getattr(error, "detail", str(error))}, status)
