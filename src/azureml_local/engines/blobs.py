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
from collections.abc import AsyncIterator, Iterable
from email.utils import formatdate
from urllib.parse import parse_qsl, quote, urlencode
from xml.etree import ElementTree  # parses the answers of our own child process only

from azureml_local.http.upstream import Address, Headers, Upstream

API_VERSION = "2021-12-02"
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


class BlobStorage:
    """One storage account on this machine.

    Args:
        account: its name.
        key: its key, base64.
    """

    def __init__(self, account: str, key: str) -> None:
        self.account = account
        self.host = f"{account}.blob.core.windows.net"
        self._key = base64.b64decode(key)
        self.upstream: Upstream

    def set_address(self, address: Address) -> None:
        """Say where Azurite listens."""
        self.upstream = Upstream(address)

    # --- requests ---

    async def create_container(self, name: str) -> None:
        """Create a container; one that exists stays as it is."""
        target = f"/{quote(name, safe='')}?restype=container"
        with await self.upstream.send("PUT", target, self._signed("PUT", target)) as response:
            await response.read()
            if response.status not in (201, 409):
                raise BlobError(response.status, f"container {name} was not created")

    async def list_blobs(self, container: str, prefix: str) -> list[str]:
        """Return the names of the blobs that start with ``prefix``, in order."""
        names: list[str] = []
        marker = ""
        while True:
            query = urlencode({"restype": "container", "comp": "list", "prefix": prefix, "marker": marker})
            target = f"/{quote(container, safe='')}?{query}"
            with await self.upstream.send("GET", target, self._signed("GET", target)) as response:
                body = await response.read()
                if response.status != 200:
                    raise BlobError(response.status, f"container {container} cannot be listed")
            root = ElementTree.fromstring(body)  # noqa: S314 - our own child's answer
            names += [name.text or "" for name in root.iterfind("./Blobs/Blob/Name")]
            marker = root.findtext("NextMarker") or ""
            if not marker:
                return names

    async def read_blob(self, container: str, name: str) -> AsyncIterator[bytes]:
        """Yield a blob's content in pieces. Raises BlobError where there is none."""
        target = f"/{quote(container, safe='')}/{quote(name)}"
        with await self.upstream.send("GET", target, self._signed("GET", target)) as response:
            if response.status != 200:
                raise BlobError(response.status, f"blob {container}/{name} cannot be read")
            async for piece in response.chunks():
                yield piece

    async def write_blob(self, container: str, name: str, content: bytes | AsyncIterator[bytes], size: int) -> None:
        """Write a blob of ``size`` bytes; one of that name is replaced."""
        headers = [(b"x-ms-blob-type", b"BlockBlob"), (b"content-length", str(size).encode())]
        await self._put(f"/{quote(container, safe='')}/{quote(name)}", headers, content)

    async def create_append_blob(self, container: str, name: str) -> None:
        """Create an empty blob to append to; one of that name is replaced."""
        headers = [(b"x-ms-blob-type", b"AppendBlob"), (b"content-length", b"0")]
        await self._put(f"/{quote(container, safe='')}/{quote(name)}", headers, b"")

    async def append(self, container: str, name: str, content: bytes, position: int) -> None:
        """Append to a blob that was created for it: at most 4 MiB at once, and 50,000 times.

        Raises:
            BlobError: with status 412 where the blob does not end at ``position``.
        """
        headers = [
            (b"content-length", str(len(content)).encode()),
            (b"x-ms-blob-condition-appendpos", str(position).encode()),
        ]
        await self._put(f"/{quote(container, safe='')}/{quote(name)}?comp=appendblock", headers, content)

    async def _put(self, target: str, headers: Headers, body: bytes | AsyncIterator[bytes]) -> None:
        with await self.upstream.send("PUT", target, self._signed("PUT", target, headers), body) as response:
            await response.read()
            if response.status != 201:
                raise BlobError(response.status, f"{target} cannot be written")

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

    def container_sas(self, container: str, hours: float) -> str:
        """Return a signature for one container: read, create, write, list."""
        return self._service_sas("c", "rcwl", container, hours)

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

    def _signed(self, method: str, target: str, more: Headers | None = None) -> Headers:
        headers = [(b"host", self.host.encode()), (b"x-ms-version", API_VERSION.encode()), *(more or ())]
        return self.sign(method, target, headers)

    def _canonical_resource(self, target: str) -> str:
        path, _, query = target.partition("?")
        values: dict[str, list[str]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            values.setdefault(name.lower(), []).append(value)
        lines = [f"\n{name}:{','.join(sorted(found))}" for name, found in sorted(values.items())]
        return f"/{self.account}{path}{''.join(lines)}"

    def _hmac(self, text: str) -> str:
        return base64.b64encode(hmac.new(self._key, text.encode(), hashlib.sha256).digest()).decode()


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
