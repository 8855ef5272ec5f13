"""The one opt-in beyond loopback: an address of this machine at which the edge also listens.

There it answers for the hosts that it serves, by TLS and with tokens and signatures as always, and for nothing else:
it is no way to other hosts, and what clients on this machine are told in plain text is not said there.
"""

from __future__ import annotations

import errno
import ipaddress
from dataclasses import dataclass

import psutil

EXAMPLE = "such as 192.0.2.10, 192.0.2.10:8443 or [2001:db8::10]:8443"


class ListenError(Exception):
    """There can be no listening there; the message says why and what to do."""


@dataclass(frozen=True)
class Place:
    """An address of this machine, and a port there; None for the port that the service has on loopback."""

    address: str
    port: int | None = None

    def at(self, port: int) -> str:
        """Return ``HOST:PORT``, with brackets where the address is one of IPv6."""
        return f"[{self.address}]:{port}" if ":" in self.address else f"{self.address}:{port}"


def parse(text: str) -> Place:
    """Return what ``ADDR[:PORT]`` says.

    Raises:
        ListenError: it is no IP address, one that stands for all, or no port.
    """
    address, port = _split(text)
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        raise ListenError(f"'{address}' is no IP address: name one of this machine's, {EXAMPLE}.") from None
    if found.is_unspecified:
        raise ListenError(
            f"{address} stands for every address: name the one that is meant, {EXAMPLE}. Nodes are told it, too."
        )
    if port is not None and not (port.isdecimal() and 0 < int(port) < 65536):
        raise ListenError(f"'{port}' is no port: it must be 1 to 65535.")
    return Place(str(found), int(port) if port else None)


def _split(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        return address, rest.removeprefix(":") or None
    if text.count(":") > 1:  # an address of IPv6 without a port
        return text, None
    address, found, port = text.partition(":")
    return address, port if found else None


def refusal(error: OSError, place: Place, port: int) -> ListenError | OSError:
    """Return what to say of a place where there is no listening; the error itself where nothing better is known."""
    if error.errno == errno.EADDRNOTAVAIL:
        own = ", ".join(_own_addresses())
        return ListenError(f"{place.address} is not an address of this machine, which has {own}.")
    if error.errno == errno.EADDRINUSE:
        return ListenError(f"Port {port} of {place.address} is in use by another program: name another, {EXAMPLE}.")
    if error.errno == errno.EACCES:
        return ListenError(f"Port {port} of {place.address} may not be taken by you: name one above 1023.")
    return error


def _own_addresses() -> list[str]:
    found = [one.address for addresses in psutil.net_if_addrs().values() for one in addresses]
    return sorted({address for address in found if _is_usable(address)})


def _is_usable(address: str) -> bool:
    try:
        return not ipaddress.ip_address(address).is_link_local
    except ValueError:  # a MAC address, or one with its interface
        return False
