"""A learner's Jupyter server tells the board what they do, and them what the trainer says.

The server is a real one with the settings that the spawner names; its kernel is real, and so is the board. The hub is
the stand-in of ``board_room``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import nbformat
import pytest
from board_room import BoardRoom, running, workshop_folder
from jupyter_client.blocking import BlockingKernelClient
from jupyterhub.services.auth import HubOAuth

from helpers import progress_file
from running_service import wait_for
from workshop import learner
from workshop.board.reports import Cell
from workshop.learner import NEWS
from workshop.learner.cells import after
from workshop.learner.extension import forget_visitors
from workshop.streams import Reader

pytestmark = pytest.mark.slow

ADA = "learner01"
ROOT = Path(__file__).parents[2]
LESSON = "workbook/notebooks/00_start/01_score_your_first_model.ipynb"
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
NOW = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
# As helpers.checking notes it, without the second that all helpers take to be imported.
REFUSED = "from helpers import progress_file; progress_file.note_refused('first_model', ['read_the_log'])"


def message(kind: str, **content: Any) -> dict[str, Any]:
    return {"header": {"msg_type": kind}, "content": content}


def test_what_messages_make_of_a_cell() -> None:
    """The messages' order is Jupyter's: https://jupyter-client.readthedocs.io/en/stable/messaging.html"""
    running_cell = after(None, message("execute_input", code="1"), NOW)
    assert running_cell == Cell("running", NOW)
    idle = message("status", execution_state="idle")
    assert after(running_cell, idle, NOW) == Cell("done", NOW)
    failed = after(running_cell, message("error", ename="ValueError", evalue="secret"), NOW)
    assert failed == Cell("failed", NOW, "ValueError")
    assert after(failed, idle, NOW) is None  # it stays one that failed
    assert after(None, idle, NOW) is None
    assert after(None, message("status", execution_state="busy"), NOW) is None
    long = after(None, message("error", ename="E" * 1000), NOW)
    assert long is not None and len(long.error) <= 60


def test_visitors_are_forgotten_and_the_learner_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is JupyterHub's own: whoever is in it is let in without asking the hub."""
    monkeypatch.setenv("JUPYTERHUB_USER", ADA)
    auth = HubOAuth(api_token="x", oauth_client_id="y")
    for token, name in (("a", ADA), ("b", "trainer"), ("c", None)):
        auth.cache[token] = name and {"name": name}
    forget_visitors(SimpleNamespace(web_app=SimpleNamespace(settings={"hub_auth": auth})))  # type: ignore[arg-type]
    assert [token for token in "abc" if token in auth.cache] == ["a"]
    forget_visitors(SimpleNamespace(web_app=SimpleNamespace(settings={})))  # type: ignore[arg-type] - without a hub


@dataclass
class Server:
    address: str
    token: str
    runtime: Path

    def get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"token {self.token}"}
        return httpx.get(f"{self.address}/{path}", headers=headers, follow_redirects=True)

    def send(self, method: str, path: str, document: Any = None) -> httpx.Response:
        headers = {"Authorization": f"token {self.token}"}
        return httpx.request(method, f"{self.address}/{path}", json=document, headers=headers, timeout=60)

    def told(self, enough: Any) -> dict[str, Any]:
        """Return what the server tells JupyterLab, as soon as it is enough."""
        headers = {"Authorization": f"token {self.token}"}
        with httpx.stream("GET", f"{self.address}/workshop/events", headers=headers, timeout=60) as answer:
            reader = Reader()
            for piece in answer.iter_raw():
                for _, _, data in reader.read(piece):
                    if enough(data):
                        return dict(data)
        raise AssertionError("the stream ended")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardRoom]:
    with running(workshop_folder(tmp_path_factory.mktemp("workshop") / "room", 1)) as board:
        yield board


@pytest.fixture(scope="module")
def server(board: BoardRoom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("home")
    notebook = home / LESSON
    notebook.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(), notebook)
    log = home / "log"
    environment = {**os.environ, **learner.environment(board.address), "HOME": str(home), "JUPYTER_TOKEN": "secret"}
    environment |= {
        "JUPYTERHUB_API_TOKEN": f"{ADA}-token",
        NEWS: json.dumps(["You have changed a <b>, so it is kept."]),
    }
    environment |= {"JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    environment |= {progress_file.VARIABLE: str(home / "progress.db"), "JUPYTER_DATA_DIR": str(home / "data")}
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", "--ServerApp.port=0"]
    with log.open("w") as writer:
        process = subprocess.Popen([*command, "--allow-root"], cwd=home, env=environment, stderr=writer)
    try:
        found = wait_for(lambda: ADDRESS.search(log.read_text()) or process.poll() is not None, "the server starts")
        assert isinstance(found, re.Match), log.read_text()
        yield Server(found[0], "secret", home / "runtime")
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def kernel(server: Server) -> Iterator[BlockingKernelClient]:
    """The kernel of the lesson, opened as JupyterLab opens it."""
    body = {"path": LESSON, "name": "", "type": "notebook", "kernel": {"name": "python3"}}
    answer = server.send("POST", "api/sessions", body)
    assert answer.status_code == 201, answer.text
    connection = server.runtime / f"kernel-{answer.json()['kernel']['id']}.json"
    client = BlockingKernelClient(connection_file=str(connection))
    client.load_connection_file()
    client.start_channels(hb=False)  # on a busy machine, a kernel's heart beats late; what it is sent waits for it
    yield client
    client.stop_channels()


def test_jupyterlab_is_offered_the_button(server: Server) -> None:
    page = server.get("lab").text
    assert '"azureml-workshop"' in page.replace("&#34;", '"')
    script = server.get("lab/extensions/azureml-workshop/static/remoteEntry.js")
    assert script.status_code == 200
    assert 'window._JUPYTERLAB["azureml-workshop"]' in script.text


def test_jupyterlab_fetches_nothing_from_elsewhere(server: Server) -> None:
    """As a learner has it who has set nothing: the values that their JupyterLab takes for the defaults."""
    answer = server.get("lab/api/settings/@jupyterlab/apputils-extension:notification").json()
    defaults = {name: setting["default"] for name, setting in answer["schema"]["properties"].items()}
    assert (defaults["checkForUpdates"], defaults["fetchNews"]) == (False, "false")


def test_what_a_learner_does_reaches_the_board(board: BoardRoom, server: Server, kernel: BlockingKernelClient) -> None:
    wait_for(lambda: board.room.streams[ADA] or None, "the server is connected")
    kernel.execute("1 / 0")
    wait_for(lambda: _cell(board) == "failed" or None, "the board hears that a cell failed")
    heard = board.room.records.heard[ADA].report
    assert (heard.notebook, heard.cell and heard.cell.error) == (LESSON, "ZeroDivisionError")
    kernel.execute(f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); " + "; ".join([REFUSED] * 3))
    wait_for(lambda: board.room.records.heard[ADA].report.refused or None, "the board hears of refused tries")
    (refused,) = board.room.records.heard[ADA].report.refused
    assert (refused.lesson, refused.item, refused.tries) == ("first_model", "read_the_log", 3)
    kernel.execute("progress_file.note('first_model', ['read_the_log'])")
    wait_for(lambda: board.room.records.heard[ADA].report.done or None, "the board hears of what is done")
    assert board.room.records.heard[ADA].report.done == {("first_model", "read_the_log")}
    assert _cell(board) == "done"


def _cell(board: BoardRoom) -> str:
    heard = board.room.records.heard.get(ADA)
    return heard.report.cell.state if heard and heard.report.cell else ""


def test_asking_and_what_comes_of_it(board: BoardRoom, server: Server) -> None:
    assert server.send("POST", "workshop/asked", {"text": "Why?", "may_open": True}).status_code == 204
    assert server.told(lambda data: data["asked"]["asked"])["asked"]["may_open"] is True
    assert board.room.records.asked[ADA].text == "Why?"
    assert server.send("DELETE", "workshop/asked").status_code == 204
    assert ADA not in board.room.records.asked
    refused = server.send("POST", "workshop/asked", {"text": "x" * 301})
    assert refused.status_code == 503
    assert "at most 300 characters" in refused.json()["message"]


def test_notes_and_news_reach_jupyterlab(board: BoardRoom, server: Server) -> None:
    board.call(lambda: board.room.records.note("Coffee <b>", None, datetime.now(UTC)))
    board.call(board.room.changes.notify)
    told = server.told(lambda data: data["notes"])
    assert [note["text"] for note in told["notes"]] == ["Coffee <b>"]
    assert told["news"] == ["You have changed a <b>, so it is kept."]


def test_nobody_else_is_told_anything(server: Server) -> None:
    for method in ("GET", "POST", "DELETE"):
        path = "workshop/events" if method == "GET" else "workshop/asked"
        assert httpx.request(method, f"{server.address}/{path}").status_code == 403
