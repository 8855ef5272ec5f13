"""A room of learners for a test: a workshop that is started by the command, and learners who come by its join link."""

from __future__ import annotations

import contextlib
import hashlib
import html
import json
import os
import pwd
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
import requests
import websocket

from workshop.status import status
from workshop.workshop import Workshop

NEEDS_ROOT = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="a workshop makes OS users, which needs Linux and root"
)
TOKEN = re.compile(r'name="_xsrf" value="([^"]+)"')
REFUSED = re.compile(r'id="refused">([^<]*)<')
LAB_WITHIN = 180.0  # seconds


@dataclass
class Room:
    """A workshop in a folder of its own, with OS users of its own."""

    folder: Path
    prefix: str

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ``python -m workshop`` for this room."""
        line = [sys.executable, "-m", "workshop", arguments[0], "--folder", str(self.folder), *arguments[1:]]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def start(self, *arguments: str) -> None:
        """Start it on a free port."""
        self.command("start", "--no-qr", "--prefix", self.prefix, "--port", "0", *arguments)

    def status(self) -> dict[str, Any]:
        """Return what ``status --json`` prints."""
        return status(Workshop(self.folder))

    def remove(self) -> None:
        """End it, and delete it, its users included."""
        self.command("stop")
        self.command("remove", "--yes")
        assert not [user.pw_name for user in pwd.getpwall() if user.pw_name.startswith(self.prefix)]


@contextlib.contextmanager
def room(learners: int, listen: str = "127.0.0.1") -> Iterator[Room]:
    """Start a room, and remove all of it afterwards."""
    with tempfile.TemporaryDirectory(prefix="azw-") as folder:  # short: sockets lie in it
        Path(folder).chmod(0o711)  # learners have to come through
        made = Room(Path(folder, "w"), f"t{uuid.uuid4().hex[:6]}-")
        try:
            made.start("--learners", str(learners), "--listen", listen)
            yield made
        finally:
            made.remove()


class Browser:
    """What a learner's browser does, without one."""

    def __init__(self, link: str, trusting: Path | None = None) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(trusting) if trusting else True
        self.base = f"{urlsplit(link).scheme}://{urlsplit(link).netloc}"
        self.page = self.session.get(link)
        self.code = parse_qs(urlsplit(link).query).get("code", [""])[0]

    def join(self, name: str, pin: str, code: str | None = None) -> requests.Response:
        """Send the form, and return where that leads, without following."""
        form = {"_xsrf": self.form_token(), "username": name, "pin": pin, "code": self.code if code is None else code}
        answer = self.session.post(f"{self.base}/hub/login", data=form, allow_redirects=False)
        answer.encoding = "utf-8"  # as the page itself says, which requests does not read
        self.page = answer if answer.status_code != 302 else self.page
        return answer

    def form_token(self) -> str:
        """Return the token that the join page's form sends."""
        found = TOKEN.search(self.page.text)
        assert found, self.page.text
        return found[1]

    def headers(self, path: str) -> dict[str, str]:
        """Return what a page's script sends with a request to the hub, or to a lab."""
        names = ((cookie.name, cookie.path) for cookie in self.session.cookies)
        if ("_xsrf", path) not in names:
            self.session.get(f"{self.base}{path}", headers={"Sec-Fetch-Mode": "navigate"})
        tokens = (one.value or "" for one in self.session.cookies if (one.name, one.path) == ("_xsrf", path))
        return {"X-XSRFToken": next(tokens)}

    def open_lab(self, user: str) -> str:
        """Have the lab started, wait for it by its progress' events, and return its address."""
        page = self.session.get(f"{self.base}/hub/spawn/{user}")
        if "spawn-pending" in page.url:
            self._wait(user)
            page = self.session.get(f"{self.base}/user/{user}/lab")
        assert page.url.startswith(f"{self.base}/user/{user}/lab"), (page.url, page.text[:2000])
        return page.url

    def _wait(self, user: str) -> None:
        events = self.session.get(
            f"{self.base}/hub/api/users/{user}/server/progress",
            headers={"Accept": "text/event-stream", **self.headers("/hub/")},
            stream=True,
            timeout=LAB_WITHIN,
        )
        said = []
        for line in filter(None, events.iter_lines()):
            said.append(json.loads(line.partition(b":")[2]) if line.startswith(b"data:") else {})
            if said[-1].get("ready"):
                return
        raise AssertionError(f"{user} got no lab: {said}")

    def kernel(self, user: str, folder: str = "") -> Kernel:
        """Start a kernel in the learner's lab, in a folder there."""
        path = f"/user/{user}/"
        asked = {"name": "python3", "path": folder}
        made = self.session.post(
            f"{self.base}{path}api/kernels", json=asked, headers=self.headers(path), timeout=LAB_WITHIN
        )
        assert made.status_code == 201, made.text
        return Kernel(self, f"/user/{user}/api/kernels/{made.json()['id']}")


class Kernel:
    """A kernel of a learner, over the proxy's web socket as JupyterLab has it."""

    def __init__(self, browser: Browser, path: str) -> None:
        request = requests.Request("GET", browser.base + path, cookies=browser.session.cookies)
        cookies = browser.session.prepare_request(request).headers["Cookie"]
        self._socket = websocket.create_connection(
            browser.base.replace("http", "ws", 1) + f"{path}/channels", header={"Cookie": cookies}, timeout=LAB_WITHIN
        )

    def run(self, code: str) -> str:
        """Run a cell, and return what it printed. Fails where it raises."""
        message = uuid.uuid4().hex
        header = {
            "msg_id": message,
            "msg_type": "execute_request",
            "session": message,
            "username": "",
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
        self._socket.send(
            json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"})
        )
        printed = ""
        while True:
            said = json.loads(self._socket.recv())
            if said["parent_header"].get("msg_id") != message:
                continue
            printed += said["content"].get("text", "") if said["msg_type"] == "stream" else ""
            if said["msg_type"] == "execute_reply":
                assert said["content"]["status"] == "ok", said["content"]
            if said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
                return printed


def refusal(answer: requests.Response) -> str:
    """Return what the join page says in red."""
    found = REFUSED.search(answer.text)
    assert found, answer.text
    return html.unescape(found[1])


def own_address() -> str | None:
    """Return an IPv4 address of this machine beyond loopback; None where there is none."""
    found = (one for addresses in psutil.net_if_addrs().values() for one in addresses if one.family == socket.AF_INET)
    return next((one.address for one in found if not one.address.startswith("127.")), None)


def sha256(certificate: str) -> str:
    """Return a certificate's fingerprint as browsers and ``start`` show it."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).digest().hex(":").upper()
