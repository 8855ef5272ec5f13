"""The installation's blob storage as the service itself uses it: requests to Azurite, and signatures.

Shared Key: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
Shared access signatures: https://learn.microsoft.com/rest/api/storageservices/create-account-sas and
https://learn.microsoft.com/rest/api/storageservices/create-service-sas
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import parse_qsl, quote, urlencode
from xml.etree import ElementTree  # parses the answers of our own child process only

from azureml_local.http.upstream import Address, Headers, Upstream, UpstreamError, UpstreamResponse

API_VERSION = "2021-12-02"
BUSY = 503  # what the edge answers while the storage is being started again
BLOCK = 4 * 1024 * 1024  # bytes; larger blobs are written in blocks of this size
SIGNED_HEADERS = (
    b"content-encoding",
    b"content-language",
    b"content-length",
    b"content-md5",
    b"content-type",
    b"date",
    b"if-modified-since",
    b"if-match",
    b"if-none-match",
    b"if-unmodified-since",
    b"range",
)


class BlobError(Exception):
    """The storage refused a request of the service."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(f"{what}: {status}")
        self.status = status


@dataclass(frozen=True)
class StoredBlob:
    """A blob's name, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class StoredContainer:
    """A container's name, its ETag, and when it was changed (RFC 3339)."""

    name: str
    etag: str
    modified_at: str


class BlobStorage:
    """One storage account.

    Args:
        account: its name.
        key: its key, base64; empty for who has signatures instead, as nodes on other machines.
        signatures: shared access signatures for containers, by their names; whoever gives them may renew them.
    """

    def __init__(self, account: str, key: str, signatures: Mapping[str, str] | None = None) -> None:
        self.account = account
        self.host = f"{account}.blob.core.windows.net"
        self._key = base64.b64decode(key)
        self._signatures = {} if signatures is None else signatures
        self.upstream: Upstream

    def set_address(self, address: Address) -> None:
        """Say where Azurite listens."""
        self.upstream = Upstream(address)

    # --- requests ---

    async def create_container(self, name: str) -> bool:
        """Create a container; one that exists stays as it is. Say whether it is new."""
        target = f"/{quote(name, safe='')}?restype=container"
        with await self._send("PUT", target) as response:
            await response.read()
            if response.status not in (201, 409):
                raise BlobError(response.status, f"container {name} was not created")
            return response.status == 201

    async def delete_container(self, name: str) -> bool:
        """Delete a container with its blobs. Say whether it was there."""
        target = f"/{quote(name, safe='')}?restype=container"
        with await self._send("DELETE", target) as response:
            await response.read()
            if response.status not in (202, 404):
                raise BlobError(response.status, f"container {name} was not deleted")
            return response.status == 202

    async def containers(self, prefix: str = "") -> list[StoredContainer]:
        """Return the containers whose names start with ``prefix``, in order."""
        found: list[StoredContainer] = []
        async for page in self._pages("/", {"prefix": prefix}, "containers cannot be listed"):
            for container in page.iterfind("./Containers/Container"):
                modified = parsedate_to_datetime(container.findtext("Properties/Last-Modified") or "")
                etag = container.findtext("Properties/Etag") or ""
                found.append(StoredContainer(container.findtext("Name") or "", etag, modified.isoformat()))
        return found

    async def list_blobs(self, container: str, prefix: str) -> list[str]:
        """Return the names of the blobs that start with ``prefix``, in order."""
        return [
            name.text or ""
            async for page in self._blob_pages(container, {"prefix": prefix})
            for name in page.iterfind("./Blobs/Blob/Name")
        ]

    async def list_folder(self, container: str, folder: str) -> tuple[list[str], list[StoredBlob]]:
        """Return the folders and the blobs directly below ``folder`` ('' or ending with ``/``), by their full names."""
        folders: list[str] = []
        blobs: list[StoredBlob] = []
        async for page in self._blob_pages(container, {"prefix": folder, "delimiter": "/"}):
            folders += [name.text or "" for name in page.iterfind("./Blobs/BlobPrefix/Name")]
            blobs += [
                StoredBlob(blob.findtext("Name") or "", int(blob.findtext("Properties/Content-Length") or 0))
                for blob in page.iterfind("./Blobs/Blob")
            ]
        return folders, blobs

    def _blob_pages(self, container: str, query: Mapping[str, str]) -> AsyncIterator[ElementTree.Element]:
        path = f"/{quote(container, safe='')}"
        return self._pages(path, {"restype": "container", **query}, f"container {container} cannot be listed")

    async def _pages(self, path: str, query: Mapping[str, str], problem: str) -> AsyncIterator[ElementTree.Element]:
        marker = ""
        while True:
            target = f"{path}?{urlencode({'comp': 'list', **query, 'marker': marker})}"
            with await self._send("GET", target) as response:
                body = await response.read()
                if response.status != 200:
                    raise BlobError(response.status, problem)
            page = ElementTree.fromstring(body)  # noqa: S314 - our own child's answer
            yield page
            marker = page.findtext("NextMarker") or ""
            if not marker:
                return

    async def open_blob(self, container: str, name: str) -> UpstreamResponse:
        """Return the response that brings a blob; use it as a context manager. Raises BlobError where there is none."""
        target = _blob_target(container, name)
        response = await self._send("GET", target)
        if response.status != 200:
            with response:
                await response.read()
            raise BlobError(response.status, f"blob {container}/{name} cannot be read")
        return response

    async def read_blob(self, container: str, name: str) -> AsyncIterator[bytes]:
        """Yield a blob's content in pieces. Raises BlobError where there is none."""
        with await self.open_blob(container, name) as response:
            async for piece in response.chunks():
                yield piece

    async def write_blob(self, container: str, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Write a blob, or replace it, once all of its content has come; what is held of it at once is bounded.

        Raises:
            BlobError: the storage refused it.
        """
        target = _blob_target(container, name)
        blocks: list[str] = []
        async for block in _in_blocks(pieces):
            if len(block) < BLOCK and not blocks:
                await self._put(target, block, [(b"x-ms-blob-type", b"BlockBlob")])
                return
            if not block:  # the storage takes no empty one
                break
            block_id = base64.b64encode(b"%08d" % len(blocks)).decode()
            await self._put(f"{target}?comp=block&blockid={quote(block_id, safe='')}", block)
            blocks.append(block_id)
        latest = "".join(f"<Latest>{block_id}</Latest>" for block_id in blocks)
        await self._put(f"{target}?comp=blocklist", f"<BlockList>{latest}</BlockList>".encode())

    async def delete_blob(self, container: str, name: str) -> None:
        """Delete a blob; one that is gone is as wanted."""
        target = _blob_target(container, name)
        with await self._send("DELETE", target) as response:
            await response.read()
            if response.status not in (202, 404):
                raise BlobError(response.status, f"blob {container}/{name} was not deleted")

    async def create_append_blob(self, container: str, name: str) -> None:
        """Create an empty blob to append to; one of that name is replaced."""
        await self._put(_blob_target(container, name), b"", [(b"x-ms-blob-type", b"AppendBlob")])

    async def append(self, container: str, name: str, content: bytes, position: int) -> None:
        """Append to a blob that was created for it: at most 4 MiB at once, and 50,000 times.

        Raises:
            BlobError: with status 412 where the blob does not end at ``position``.
        """
        condition = [(b"x-ms-blob-condition-appendpos", b"%d" % position)]
        await self._put(f"{_blob_target(container, name)}?comp=appendblock", content, condition)

    async def _put(self, target: str, body: bytes, headers: Headers | None = None) -> None:
        own = [(b"content-length", b"%d" % len(body)), *(headers or [])]
        with await self._send("PUT", target, own, body) as response:
            await response.read()
            if response.status != 201:
                raise BlobError(response.status, f"{target} was not written")

    # --- signatures ---

    def sign(self, method: str, target: str, headers: Headers) -> Headers:
        """Return ``headers`` with a Shared Key authorization for this request in place of any other."""
        kept = [(name, value) for name, value in headers if name not in (b"authorization", b"x-ms-date", b"date")]
        kept.append((b"x-ms-date", formatdate(usegmt=True).encode()))
        text = "\n".join((method, *_standard_values(kept), _canonical_headers(kept) + self._canonical_resource(target)))
        return [*kept, (b"authorization", f"SharedKey {self.account}:{self._hmac(text)}".encode())]

    def account_sas(self, hours: float) -> str:
        """Return an account signature for blobs and containers: read, create, write, update, delete, list."""
        start, expiry = _validity(hours)
        fields = {"sp": "rcuwdl", "ss": "bf", "srt": "co", "st": start, "se": expiry, "sv": API_VERSION}
        text = "\n".join(
            (self.account, fields["sp"], fields["ss"], fields["srt"], start, expiry, "", "", API_VERSION, "", "")
        )
        return urlencode({**fields, "sig": self._hmac(text)})

    def container_sas(self, container: str, hours: float, permissions: str) -> str:
        """Return a signature for one container, e.g. for ``rcwl``: read, create, write, list."""
        return self._service_sas("c", permissions, container, hours)

    def blob_sas(self, container: str, name: str, hours: float) -> str:
        """Return a signature that lets one blob be read."""
        return self._service_sas("b", "r", f"{container}/{name}", hours)

    def _service_sas(self, kind: str, permissions: str, path: str, hours: float) -> str:
        start, expiry = _validity(hours)
        fields = {"sp": permissions, "st": start, "se": expiry, "sv": API_VERSION, "sr": kind}
        resource = f"/blob/{self.account}/{path}"
        unused = [""] * 7  # snapshot time, encryption scope, and the five response headers
        text = "\n".join((permissions, start, expiry, resource, "", "", "", API_VERSION, kind, *unused))
        return urlencode({**fields, "sig": self._hmac(text)})

    async def _send(
        self, method: str, target: str, headers: Headers | None = None, body: bytes = b""
    ) -> UpstreamResponse:
        """Send a request under the account's key or, without it, a signature for the container."""
        own = [(b"host", self.host.encode()), (b"x-ms-version", API_VERSION.encode()), *(headers or [])]
        if self._key:
            return await self.upstream.send(method, target, self.sign(method, target, own), body)
        container = re.split(r"[/?]", target, maxsplit=2)[1]
        signature = self._signatures.get(container, "")
        joined = f"{target}{'&' if '?' in target else '?'}{signature}"
        response = await self.upstream.send(method, joined, own, body)
        if response.status == BUSY:
            with response:
                raise UpstreamError("the storage behind the edge does not answer now")
        return response

    def _canonical_resource(self, target: str) -> str:
        path, _, query = target.partition("?")
        values: dict[str, list[str]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            values.setdefault(name.lower(), []).append(value)
        lines = [f"\n{name}:{','.join(sorted(found))}" for name, found in sorted(values.items())]
        return f"/{self.account}{path}{''.join(lines)}"

    def _hmac(self, text: str) -> str:
        return base64.b64encode(hmac.new(self._key, text.encode(), hashlib.sha256).digest()).decode()


def _blob_target(container: str, name: str) -> str:
    return f"/{quote(container, safe='')}/{quote(name)}"


async def _in_blocks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what comes in blocks of ``BLOCK`` bytes, the last of which is shorter, and may be empty."""
    buffer = bytearray()
    async for piece in pieces:
        buffer += piece
        while len(buffer) >= BLOCK:
            yield bytes(buffer[:BLOCK])
            del buffer[:BLOCK]
    yield bytes(buffer)


def _standard_values(headers: Headers) -> Iterable[str]:
    found = dict(headers)
    if found.get(b"content-length") == b"0":
        found.pop(b"content-length")
    return [found.get(name, b"").decode("latin-1") for name in SIGNED_HEADERS]


def _canonical_headers(headers: Headers) -> str:
    own = sorted((name, value) for name, value in headers if name.startswith(b"x-ms-"))
    return "".join(f"{name.decode()}:{value.decode('latin-1').strip()}\n" for name, value in own)


def _validity(hours: float) -> tuple[str, str]:
    now = datetime.datetime.now(datetime.UTC)
    start = now - datetime.timedelta(minutes=15)  # clocks of containers and hosts differ
    expiry = now + datetime.timedelta(hours=hours)
    return start.strftime("%Y-%m-%dT%H:%M:%SZ"), expiry.strftime("%Y-%m-%dT%H:%M:%SZ")
