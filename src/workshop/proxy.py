"""configurable-http-proxy, which alone listens for browsers: by npm's lock file, as a process of its own."""

from __future__ import annotations

import os
from pathlib import Path

import node_packages
from workshop.certificates import Pair
from workshop.folder import Folder, Settings, read_secret
from workshop.links import LOOPBACK

SOURCE = Path(__file__).with_name("proxy")
INSTALLED = node_packages.SHARE / "azureml-workbook" / "workshop-proxy"
MAIN = INSTALLED / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
ERROR_PAGES = Path(__file__).with_name("error_pages")  # what it shows while there is no hub


def install() -> None:
    """Install it, unless it is.

    Raises:
        NpmError: npm could not; the message says why.
    """
    if not node_packages.is_installed(SOURCE, INSTALLED):
        print("Installing the workshop's proxy with npm: some seconds ...", flush=True)
        node_packages.install(SOURCE, INSTALLED, "--omit=dev")


def command(settings: Settings, pair: Pair | None) -> list[str]:
    """Return what to run. No secret stands in it: every user of a machine may read command lines.

    Args:
        settings: where it listens, and for which hub.
        pair: the files of its certificate, or None for plain HTTP.
    """
    tls = ["--ssl-cert", str(pair.certificate), "--ssl-key", str(pair.key)] if pair else []
    return [
        *(str(node_packages.node()), str(MAIN), "--ip", settings.listen, "--port", str(settings.port)),
        *("--api-ip", LOOPBACK, "--api-port", str(settings.proxy_api_port)),
        *("--default-target", f"http://{LOOPBACK}:{settings.hub_port}"),
        *("--error-path", str(ERROR_PAGES), "--log-level", "warn"),
        *tls,
    ]


def environment(folder: Folder) -> dict[str, str]:
    """Return its environment, with the secret by which it knows the hub."""
    return {"PATH": os.environ.get("PATH", os.defpath), "CONFIGPROXY_AUTH_TOKEN": read_secret(folder.proxy_token)}
