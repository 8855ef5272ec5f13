"""A package behind Azure's own inference server, as a container starts it: no router, no managed endpoint's limits."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

import designer_rides
from azureml_local.engines.inference_server import GUNICORN_CONFIG
from designer import Package, package

SECONDS = 120
APP = "azureml_inference_server_http.server.entry:app"
INPUT, OUTPUT = "WebServiceInput0", "WebServiceOutput0"
TAXI = {"km": 3, "kind": "taxi"}


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("package")
    return package(designer_rides.GRAPH, folder / "service", data=designer_rides.data(folder))


@pytest.fixture(scope="module")
def port(packaged: Package) -> Iterator[int]:
    """The port of the server's gunicorn, whose socket it is handed: who connects early waits until it accepts."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        variables = {
            "AML_APP_ROOT": packaged.code,
            "AZUREML_ENTRY_SCRIPT": "score.py",
            "AZUREML_MODEL_DIR": str(packaged.folder),  # as registered: a folder in which model/ lies
            "PYTHONPATH": "",
            "AML_APP_INSIGHTS_ENABLED": "false",
        }
        bind = f"--bind=fd://{listener.fileno()}"
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", f"--config={GUNICORN_CONFIG}", bind, "--threads=4", APP],
            env={**os.environ, **variables},
            cwd=packaged.folder,
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port = int(listener.getsockname()[1])
    yield port  # the listener is the server's alone now: if that ends, nobody waits for it
    server.terminate()
    server.wait(SECONDS)


def ask(port: int, body: Any = None, target: str = "/score", method: str = "POST") -> tuple[int, str, Any]:
    """Return the status, type and content of an answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    connection.request(method, target, None if body is None else json.dumps(body))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers["Content-Type"], json.loads(content) if content else None


def rows(*given: Any) -> dict[str, Any]:
    return {"Inputs": {INPUT: list(given)}}


def test_scores(port: int) -> None:
    status, kind, content = ask(port, rows(TAXI))
    assert (status, kind) == (200, "application/json")
    assert content["Results"][OUTPUT] == [{**TAXI, "Scored Labels": 7.5}]


def test_a_wrong_request_is_answered_400(port: int) -> None:
    status, kind, content = ask(port, rows({"km": "far", "kind": "taxi"}))
    assert (status, kind) == (400, "application/json")
    assert content["error"]["details"][0] == {
        "input": INPUT,
        "column": "km",
        "row": 0,
        "reason": '"far" is no number.',
    }


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("OPTIONS", 200)])
def test_other_methods(port: int, method: str, status: int) -> None:
    assert ask(port, method=method)[0] == status


@pytest.mark.parametrize(("query", "file"), [("", "swagger2.json"), ("?version=3", "swagger3.json")])
def test_hands_out_its_openapi_documents(port: int, packaged: Package, query: str, file: str) -> None:
    status, _, content = ask(port, target=f"/swagger.json{query}", method="GET")
    assert status == 200
    assert content == json.loads(Path(packaged.code, file).read_text())


def test_100_000_rows_at_once(port: int) -> None:
    given = [{"km": number, "kind": "limousine"} for number in range(100_000)]
    status, _, content = ask(port, rows(*given))
    assert status == 200
    assert [row["Scored Labels"] for row in content["Results"][OUTPUT]] == [4.0 * row["km"] + 1.5 for row in given]
    status, _, content = ask(port, rows(*given[:-1], {"km": None, "kind": "limousine"}))
    assert status == 400
    assert content["error"]["details"][0]["row"] == 99_999


def test_requests_at_once_do_not_meet(port: int) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: ask(port, rows({"km": number, "kind": "taxi"})), range(40)))
    assert [content["Results"][OUTPUT][0]["Scored Labels"] for _, _, content in answers] == [
        2.0 * number + 1.5 for number in range(40)
    ]
