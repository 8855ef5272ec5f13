"""The load that a lesson sends while it changes a deployment: against a server of the test's own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import matplotlib.pyplot as plt
import pytest

import helpers
from helpers import loads, waiting

KEY = "k1"


class Server(ThreadingHTTPServer):
    """Answers as an endpoint does, with the status that it is told; it keeps the requests that it got."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.asked: list[tuple[dict[str, str], Any]] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.let_go = threading.Event()
        self.let_go.set()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/score"

    def wait_for(self, requests: int) -> None:
        deadline = time.monotonic() + 30
        while len(self.asked) < requests:
            assert time.monotonic() < deadline
            time.sleep(0.005)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append(({name.title(): value for name, value in self.headers.items()}, body))
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        self.server.let_go.wait(30)
        with self.server.lock:
            self.server.at_once -= 1
        status = self.server.status
        answer = b'"benign"' if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("azureml-model-deployment", "blue")
        if status != 200:
            self.send_header("ms-azureml-model-error-reason", "too_many_pending_request")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.let_go.set()
        server.shutdown()


def test_each_request_has_a_row(server: Server) -> None:
    with helpers.load(server.uri, KEY, {"patient": 1}, clients=2, deployment="blue") as load:
        server.wait_for(10)
    headers, body = server.asked[0]
    assert body == {"patient": 1}
    assert headers["Authorization"] == "Bearer k1" and headers["Content-Type"] == "application/json"
    assert headers["Azureml-Model-Deployment"] == "blue"
    answers = load.answers
    assert list(answers.columns) == ["seconds", "status", "ms", "deployment", "reason", "answer"]
    assert len(answers) == len(server.asked) >= 10
    assert answers.seconds.is_monotonic_increasing and (answers.ms > 0).all()
    assert set(answers.status) == {200} and set(answers.deployment) == {"blue"} and set(answers.answer) == {'"benign"'}
    assert load.statuses == {200: len(answers)} and load.failed == 0


def test_what_fails_is_counted_by_status_and_reason(server: Server) -> None:
    with helpers.load(server.uri, KEY, {}) as load:
        server.wait_for(1)
        server.status = 429
        server.wait_for(4)
    assert load.failed == load.statuses[429] >= 2
    assert set(load.answers.reason[load.answers.status == 429]) == {"too_many_pending_request"}
    assert f"{len(load.answers)} answers, of them 429: {load.failed}" == load.describe()


def test_a_request_without_an_answer_is_a_row_too(server: Server) -> None:
    server.shutdown()
    server.server_close()
    with helpers.load(server.uri, KEY, {}, most=3) as load:
        load.go_on(30)
    assert load.statuses == {0: 3} and load.failed == 3
    assert set(load.answers.reason) == {"ConnectError"}
    assert "none: 3" in load.describe()


def test_as_many_at_once_as_there_are_clients(server: Server) -> None:
    server.let_go.clear()
    with helpers.load(server.uri, KEY, {}, clients=3, most=9) as load:
        server.wait_for(3)
        server.let_go.set()
        load.go_on(30)
    assert server.most_at_once == 3
    assert len(load.answers) == 9


def test_the_rate_is_kept_and_what_was_late_is_left_out(server: Server) -> None:
    """After a stall of half a second the next requests come one by one, not the ten that were due."""
    server.let_go.clear()
    with helpers.load(server.uri, KEY, {}, per_second=20) as load:
        server.wait_for(1)
        time.sleep(0.5)
        server.let_go.set()
        server.wait_for(11)
    after = load.answers.seconds[1:11]
    assert after.iloc[-1] - after.iloc[0] > 0.2, "nine twentieths of a second, but for a late start"


def test_a_load_has_an_end_of_its_own(server: Server) -> None:
    with helpers.load(server.uri, KEY, {}, longest=0.2) as load:
        load.go_on(30)  # which returns when the load has ended
        sent = len(server.asked)
        time.sleep(0.1)
        assert len(server.asked) == sent
    with helpers.load(server.uri, KEY, {}, most=5, clients=2) as load:
        load.go_on(30)
    assert load.statuses == {200: 5}


def test_it_ends_with_its_block_also_where_that_fails(server: Server) -> None:
    with pytest.raises(RuntimeError, match="the deployment failed"), helpers.load(server.uri, KEY, {}) as load:
        server.wait_for(1)
        raise RuntimeError("the deployment failed")
    assert len(server.asked) == len(load.answers), "what was under way has been waited for"
    assert loads.standing() == ""


def test_the_line_of_a_wait_says_how_the_load_stands(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with helpers.load(server.uri, KEY, {}, most=3) as load:
        load.go_on(30)
        questions = iter([False, True])
        waiting.wait_until(lambda: next(questions), "two instances serve")
    shown = capsys.readouterr()
    assert shown.out == "✓ two instances serve\n"
    assert "0 s | load: 3 answers, of them none failed" in shown.err


def test_a_drawing_has_a_series_for_each_kind_and_a_line_for_each_mark(server: Server) -> None:
    with helpers.load(server.uri, KEY, {}) as load:
        server.wait_for(2)
        load.mark("scaled")
        server.status = 429
        server.wait_for(4)
    figure, axis = plt.subplots()
    load.draw(axis)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["200", "429"]
    assert [text.get_text() for text in axis.texts] == ["scaled"]
    assert axis.get_xlabel() and axis.get_ylabel()
    plt.close(figure)


@pytest.mark.parametrize("wrong", [{"clients": 0}, {"per_second": 0}, {"per_second": -1}, {"longest": 0}, {"most": 0}])
def test_numbers_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be more than 0"):
        helpers.load("https://nowhere.eastus.inference.ml.azure.com/score", KEY, {}, **wrong)
