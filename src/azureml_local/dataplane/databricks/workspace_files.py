"""The Workspace API: notebooks, files and folders of a workspace.

https://docs.databricks.com/api/azure/workspace/workspace. They lie as files in a folder; a file without an extension
that begins with a notebook's first line is a notebook, of Python, which is the only language that is taken here.
"""

from __future__ import annotations

import base64
import binascii
import email.message
import email.parser
import email.policy
import hashlib
from pathlib import Path, PurePosixPath
from typing import Any

from starlette.responses import Response

from azureml_local.dataplane.databricks.call import ApiRoutes, Call, Fields, done
from azureml_local.dataplane.databricks.errors import DatabricksError, invalid, lacking, missing
from azureml_local.engines.spark.file_tree import FileTree, PathError
from azureml_local.engines.spark.runtime.run_task import HEADER

PREFIX = "/Workspace"  # may stand before each path
LARGEST = 10 * 2**20  # bytes
NOTEBOOK = "NOTEBOOK"
PYTHON = "PYTHON"
FORMATS = ("SOURCE", "AUTO", "RAW")
SUFFIX = ".py"

routes = ApiRoutes("/api/2.0/workspace")


@routes.route("POST", "/import")
async def import_object(call: Call) -> Response:
    """Put a file or a notebook there: base64 in JSON, or as it is in a form's part."""
    sent, content = await _read_import(call)
    path, kind = normal(sent.text("path")), sent.text("format", "SOURCE")
    if kind not in FORMATS:
        raise lacking(f"imports of the format {kind}")
    if kind == "SOURCE" and sent.text("language", None) is None:
        raise invalid("The language is missing; it must be given with the format SOURCE.")
    if sent.text("language", PYTHON) != PYTHON:
        raise lacking(f"notebooks in {sent.text('language')}")
    path, content = _as_stored(path, kind, content)
    if len(content) > LARGEST:
        message = f"File size imported is ({len(content)} bytes), exceeded max size ({LARGEST} bytes)"
        raise DatabricksError(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", message)
    tree = call.files
    at = located(tree, path)
    if at.is_dir() or (at.exists() and not sent.flag("overwrite", False)):
        raise DatabricksError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({path}) already exists.")
    parent = str(PurePosixPath(path).parent)
    if not located(tree, parent).is_dir():
        raise missing(f"The parent folder ({parent}) does not exist.")
    tree.write(path, content)
    return done()


@routes.route("GET", "/export")
async def export(call: Call) -> Response:
    """Return a file's or a notebook's content: base64 in JSON, or (``direct_download``) as it is."""
    path, kind = normal(call.sent.text("path")), call.sent.text("format", "SOURCE")
    if kind not in FORMATS:
        raise lacking(f"exports of the format {kind}")
    at = _existing(call, path)
    if at.is_dir():
        raise lacking("exports of folders")
    content = at.read_bytes()
    if call.sent.flag("direct_download", False):
        return Response(content, media_type="application/octet-stream")
    file_type = "py" if _object_type(at) == NOTEBOOK else "file"
    return done({"content": base64.b64encode(content).decode(), "file_type": file_type})


@routes.route("GET", "/get-status")
async def get_status(call: Call) -> Response:
    """Return what is known of an object or a folder."""
    path = normal(call.sent.text("path"))
    return done(_shown(path, _existing(call, path)))


@routes.route("GET", "/list")
async def list_objects(call: Call) -> Response:
    """List a folder's objects; an object lists itself."""
    path = normal(call.sent.text("path"))
    at = _existing(call, path)
    if not at.is_dir():
        return done({"objects": [_shown(path, at)]})
    return done({"objects": [_shown(one, file) for one, file in call.files.entries(path)]})


@routes.route("POST", "/mkdirs")
async def mkdirs(call: Call) -> Response:
    """Make a folder, and those that it lies in."""
    path = normal(call.sent.text("path"))
    make_folder(call.files, path)
    return done()


@routes.route("POST", "/delete")
async def delete(call: Call) -> Response:
    """Delete an object, or a folder: ``recursive`` where it is not empty."""
    path = normal(call.sent.text("path"))
    at = _existing(call, path)
    if path == "/":
        raise invalid("The root folder cannot be deleted.")
    if at.is_dir() and any(at.iterdir()) and not call.sent.flag("recursive", False):
        raise DatabricksError(400, "DIRECTORY_NOT_EMPTY", f"Folder ({path}) is not empty")
    call.files.delete(path)
    return done()


def normal(path: str) -> str:
    """Return a path without /Workspace, which means the same, and without a slash at its end."""
    if path == PREFIX or path.startswith(f"{PREFIX}/"):
        path = path.removeprefix(PREFIX)
    return path.rstrip("/") or "/"


def located(tree: FileTree, path: str) -> Path:
    """Return where a path lies. Raises Databricks' 400 where it is none."""
    try:
        return tree.at(path)
    except PathError as error:
        raise invalid(str(error)) from error


def make_folder(tree: FileTree, path: str) -> None:
    """Make a folder. Raises 400 where a file is there, or in its way."""
    at = located(tree, path)
    blocking = next((one for one in (at, *at.parents) if one.is_file()), None)
    if blocking:
        where = f"/{blocking.relative_to(tree.root)}"
        raise DatabricksError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({where}) already exists, and is no folder.")
    at.mkdir(parents=True, exist_ok=True)


def _existing(call: Call, path: str) -> Path:
    at = located(call.files, path)
    if not at.exists():
        raise missing(f"Path ({path}) doesn't exist.")
    return at


def _as_stored(path: str, kind: str, content: bytes) -> tuple[str, bytes]:
    """Return where an import goes, and with which content: a notebook's begins with its first line."""
    has_header = content.startswith(HEADER.encode())
    if kind == "SOURCE":
        return path, content if has_header else f"{HEADER}\n".encode() + content
    if kind == "AUTO" and has_header and path.endswith(SUFFIX):
        return path.removesuffix(SUFFIX), content
    return path, content


async def _read_import(call: Call) -> tuple[Fields, bytes]:
    """Return an import's members, and its content."""
    media_type = call.request.headers.get("content-type", "")
    if not media_type.startswith("multipart/form-data"):
        return call.sent, _from_base64(call.sent.text("content", ""))
    received = bytearray()
    async for piece in call.request.stream():
        received += piece
        if len(received) > 2 * LARGEST:
            raise DatabricksError(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", f"At most {LARGEST} bytes can be imported.")
    head = f"Content-Type: {media_type}\r\n\r\n".encode("latin-1")
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + bytes(received))
    parts = {
        str(part.get_param("name", header="content-disposition")): _payload(part)
        for part in form.walk()
        if not part.is_multipart()
    }
    content = parts.pop("content", b"")
    members: dict[str, Any] = {name: value.decode(errors="replace") for name, value in parts.items()}
    return Fields(members), content


def _payload(part: email.message.Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("The content is not base64.") from error


def _object_type(at: Path) -> str:
    if at.is_dir():
        return "DIRECTORY"
    if at.suffix:
        return "FILE"
    with at.open("rb") as file:
        return NOTEBOOK if file.read(len(HEADER)) == HEADER.encode() else "FILE"


def _shown(path: str, at: Path) -> dict[str, Any]:
    kind = _object_type(at)
    found: dict[str, Any] = {
        "object_type": kind,
        "path": path,
        "object_id": int.from_bytes(hashlib.sha256(path.encode()).digest()[:6]),
    }
    if kind == NOTEBOOK:
        found["language"] = PYTHON
    if at.is_file():
        changed = int(at.stat().st_mtime * 1000)
        found |= {"size": at.stat().st_size, "modified_at": changed, "created_at": changed}
    return found
