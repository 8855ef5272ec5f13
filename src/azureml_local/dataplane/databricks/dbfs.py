"""The DBFS API: files that the tasks of clusters read and write as ``dbfs:/``.

https://docs.databricks.com/api/azure/workspace/dbfs
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from starlette.responses import Response

from azureml_local.dataplane.databricks.call import ApiRoutes, Call, done
from azureml_local.dataplane.databricks.errors import DatabricksError, invalid, missing
from azureml_local.dataplane.databricks.workspace_files import located, make_folder

SCHEME = "dbfs:"
LARGEST_BLOCK = 2**20  # bytes
MOST_HANDLES = 64  # files that are being written at once

routes = ApiRoutes("/api/2.0/dbfs")


@dataclass(frozen=True)
class Upload:
    """A file that is being written: its workspace, its path, and what has come of it, on the disk."""

    workspace: str
    path: str
    content: IO[bytes] = field(default_factory=tempfile.TemporaryFile)


@routes.route("POST", "/put")
async def put(call: Call) -> Response:
    """Write a small file at once."""
    path = normal(call.sent.text("path"))
    content = _block(call.sent.text("contents", ""))
    _require_writable(call, path)
    call.dbfs.write(path, content)
    return done()


@routes.route("POST", "/create")
async def create(call: Call) -> Response:
    """Begin to write a file; the answer has the handle that blocks are sent with."""
    path = normal(call.sent.text("path"))
    _require_writable(call, path)
    handles = call.workspaces.handles
    if len(handles) >= MOST_HANDLES:
        handles.pop(next(iter(handles))).content.close()  # the oldest, which nobody has closed
    handle = secrets.randbits(52)
    handles[handle] = Upload(call.workspace.key, path)
    return done({"handle": handle})


@routes.route("POST", "/add-block")
async def add_block(call: Call) -> Response:
    """Append a block."""
    _upload(call).content.write(_block(call.sent.text("data")))
    return done()


@routes.route("POST", "/close")
async def close(call: Call) -> Response:
    """Write the blocks as the file."""
    upload = _upload(call)
    del call.workspaces.handles[call.sent.integer("handle")]
    located(call.dbfs, upload.path)  # a task may have made a link there meanwhile
    with upload.content as content:
        content.seek(0)
        await asyncio.to_thread(call.dbfs.write, upload.path, content)
    return done()


@routes.route("GET", "/get-status")
async def get_status(call: Call) -> Response:
    """Return what is known of a file or a folder."""
    path = normal(call.sent.text("path"))
    return done(_shown(path, _existing(call, path)))


@routes.route("GET", "/list")
async def list_files(call: Call) -> Response:
    """List a folder; a file lists itself."""
    path = normal(call.sent.text("path"))
    at = _existing(call, path)
    if not at.is_dir():
        return done({"files": [_shown(path, at)]})
    return done({"files": [_shown(one, file) for one, file in call.dbfs.entries(path)]})


@routes.route("GET", "/read")
async def read(call: Call) -> Response:
    """Return a part of a file."""
    path = normal(call.sent.text("path"))
    offset, length = call.sent.integer("offset", 0), call.sent.integer("length", LARGEST_BLOCK)
    if offset < 0 or length < 0:
        raise invalid("offset and length must not be negative.")
    if length > LARGEST_BLOCK:
        message = f"The length is {length}; at most {LARGEST_BLOCK} bytes can be read at once."
        raise DatabricksError(400, "MAX_READ_SIZE_EXCEEDED", message)
    at = _existing(call, path)
    if at.is_dir():
        raise invalid(f"{path} is a directory; a file must be read.")
    with at.open("rb") as file:
        file.seek(min(offset, at.stat().st_size))  # the system refuses an offset that no file can have
        data = file.read(length)
    return done({"bytes_read": len(data), "data": base64.b64encode(data).decode()})


@routes.route("POST", "/mkdirs")
async def mkdirs(call: Call) -> Response:
    """Make a folder, and those that it lies in."""
    make_folder(call.dbfs, normal(call.sent.text("path")))
    return done()


@routes.route("POST", "/move")
async def move(call: Call) -> Response:
    """Move a file or a folder."""
    source, target = normal(call.sent.text("source_path")), normal(call.sent.text("destination_path"))
    at, to = _existing(call, source), located(call.dbfs, target)
    if to.exists():
        raise DatabricksError(400, "RESOURCE_ALREADY_EXISTS", f"A file or directory already exists at {target}")
    if at == call.dbfs.root or to.is_relative_to(at):
        raise invalid(f"{source} cannot be moved to {target}.")
    make_folder(call.dbfs, target.rpartition("/")[0] or "/")
    at.rename(to)
    return done()


@routes.route("POST", "/delete")
async def delete(call: Call) -> Response:
    """Delete a file, or a folder: ``recursive`` where it is not empty. What is not there is no error."""
    path = normal(call.sent.text("path"))
    at = located(call.dbfs, path)
    if path == "/":
        raise invalid("The root of DBFS cannot be deleted.")
    if not at.exists():
        return done()
    if at.is_dir() and any(at.iterdir()) and not call.sent.flag("recursive", False):
        raise DatabricksError(400, "IO_ERROR", f"{path} is a folder that is not empty, and recursive is not set.")
    call.dbfs.delete(path)
    return done()


def normal(path: str) -> str:
    """Return a path without its scheme, and without a slash at its end."""
    return path.removeprefix(SCHEME).rstrip("/") or "/"


def _existing(call: Call, path: str) -> Path:
    at = located(call.dbfs, path)
    if not at.exists():
        raise missing(f"No file or directory exists on path {path}.")
    return at


def _require_writable(call: Call, path: str) -> None:
    at = located(call.dbfs, path)
    if at.is_dir() or (at.exists() and not call.sent.flag("overwrite", False)):
        raise DatabricksError(400, "RESOURCE_ALREADY_EXISTS", f"A file or directory already exists at {path}.")
    make_folder(call.dbfs, path.rpartition("/")[0] or "/")


def _upload(call: Call) -> Upload:
    handle = call.sent.integer("handle")
    upload = call.workspaces.handles.get(handle)
    if upload is None or upload.workspace != call.workspace.key:
        raise missing(f"No stream with the handle {handle} exists.")
    return upload


def _block(text: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("The data is not base64.") from error
    if len(content) > LARGEST_BLOCK:
        message = f"The block has {len(content)} bytes; at most {LARGEST_BLOCK} can be sent at once."
        raise DatabricksError(400, "MAX_BLOCK_SIZE_EXCEEDED", message)
    return content


def _shown(path: str, at: Path) -> dict[str, Any]:
    state = at.stat()
    return {
        "path": path,
        "is_dir": at.is_dir(),
        "file_size": 0 if at.is_dir() else state.st_size,
        "modification_time": int(state.st_mtime * 1000),
    }
