"""What one client may ask of the edge, and for how long it may hold a connection.

The sizes and the rate are those of the servers that Azure's services run on: Kestrel
(https://learn.microsoft.com/dotnet/api/microsoft.aspnetcore.server.kestrel.core.kestrelserverlimits) and, for the
request line, HTTP.sys (``MaxRequestBytes``), as a blob's name of 1,024 characters may fill 9 KB when it is encoded.
"""

from __future__ import annotations

import resource

LARGEST_TARGET = 16 * 1024  # bytes
LARGEST_HEADERS = 32 * 1024  # bytes of all names and values, a chunked body's trailers among them
MOST_HEADERS = 100

HEAD_SECONDS = 15.0  # for a request's head, from its first byte; a program sends it in one piece
HANDSHAKE_SECONDS = 15.0  # for the client's part of a TLS handshake
CLOSE_SECONDS = 5.0  # for the client to confirm the end of TLS
IDLE_SECONDS = 75  # without a request; longer than the pauses between a notebook's cells are worth a new handshake
BODY_LAP_SECONDS = 30.0  # how often the pace of a request's body is looked at
SLOWEST_BODY = 240  # bytes a second
UNREAD_SECONDS = 120.0  # for which a client may read nothing of its response: a person looks at a debugger for as long

MOST_CONNECTIONS = 4096
RESERVED_DESCRIPTORS = 512  # for the store, the logs, child processes, and the libraries' own


def most_connections() -> int:
    """Return how many clients may be connected at once, after raising the limit of open files as far as is needed.

    A request may hold two descriptors, the client's connection and one to an engine. The limit starts at 256 on macOS
    and 1,024 on Linux; whoever reaches it can neither accept connections nor open files.
    """
    wanted = 2 * MOST_CONNECTIONS + RESERVED_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, (soft - RESERVED_DESCRIPTORS) // 2))
