"""azureml_local.engines.blobs: what names become in requests to the storage (RFC 3986, 2.1)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from azureml_local.engines.blobs import BlobError, BlobStorage
from azureml_local.http.upstream import Address

KEY = "a2V5"


NAMES = ["a\r\nX: y", "a HTTP/1.1\r\n\r\nDELETE /b?x=", "a b", "ü", "a/b", "a?comp=list&", "a%0d", "a#b"]


async def nothing() -> AsyncIterator[bytes]:
    for piece in ():
        yield piece


@pytest.mark.parametrize("name", NAMES)
def test_name_of_a_container_is_one_segment_whatever_it_holds(name: str, tmp_path: Path) -> None:
    """A datastore's ``containerName`` and a code's URI are the caller's (CWE-113)."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()

    async def main() -> None:
        server = await asyncio.start_unix_server(serve, tmp_path / "s")
        blobs = BlobStorage("account", KEY)
        blobs.set_address(Address(socket=tmp_path / "s"))
        async with asyncio.timeout(20):
            for ask in (
                blobs.create_container(name),
                blobs.list_blobs(name, "x"),
                blobs.list_folder(name, "x/"),
                anext(blobs.read_blob(name, "b")),
                blobs.write_blob(name, "b", nothing()),
            ):
                with pytest.raises(BlobError):
                    await ask
        blobs.upstream.close()
        server.close()

    asyncio.run(main())
    paths = [head.split(b" ")[1].partition(b"?")[0].decode() for head in heads]
    assert [unquote(path) for path in paths] == [*[f"/{name}"] * 3, *[f"/{name}/b"] * 2]
    assert [path.count("/") for path in paths] == [1, 1, 1, 2, 2]
