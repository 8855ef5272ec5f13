"""What the lessons show of jobs and nodes, from answers in the forms that azure-ai-ml gives them."""

from __future__ import annotations

import datetime
import threading
from collections import Counter
from enum import Enum
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import pytest
from azure.ai.ml._restclient.arm_ml_service.models import AmlComputeNodeInformation
from azure.ai.ml.entities import AmlComputeNodeInfo
from azure.core.exceptions import HttpResponseError
from matplotlib.colors import to_hex

from helpers import jobs, nodes, waiting
from helpers.nodes import Sample, Watched

SENT = 1_800_000_000.0


class Status(str, Enum):  # noqa: UP042 - as the SDK's generated models have it
    """A member of an enumeration, as the SDK returns a job's status."""

    RUNNING = "Running"


def _job(name: str, seconds: float = 0.0) -> Any:
    sent = datetime.datetime.fromtimestamp(SENT + seconds, datetime.UTC)
    return SimpleNamespace(name=name, display_name=name, creation_context=SimpleNamespace(created_at=sent))


def _sample(seconds: float, one: str, two: str, **states: int) -> Sample:
    return Sample(SENT + seconds, Counter(states), {"one": one, "two": two})


WATCHED = Watched(
    [_job("one"), _job("two", 0.5)],
    [
        _sample(1, "Starting", "Starting", preparing=1),
        _sample(2, "Running", "Queued", running=1),
        _sample(4, "Finalizing", "Queued", running=1),
        _sample(5, "Completed", "Running", running=1, preempted=1),
        _sample(8, "Completed", "Failed", idle=1),
        _sample(9, "Completed", "Failed"),
    ],
)


def _client(statuses: list[object] | None = None, listed: list[Any] | None = None) -> Any:
    answers = iter(statuses or [])
    return SimpleNamespace(
        jobs=SimpleNamespace(get=lambda _: SimpleNamespace(status=next(answers))),
        compute=SimpleNamespace(list_nodes=lambda _: listed, get=lambda _: SimpleNamespace(min_instances=0)),
    )


def test_waits_are_counted_from_the_sending_of_each_job() -> None:
    assert WATCHED.waited == {"one": 2.0, "two": 4.5}
    assert WATCHED.most_running == 1


@pytest.mark.parametrize(("sample", "quiet"), list(zip(WATCHED.samples, [False] * 4 + [True] * 2, strict=True)))
def test_a_cluster_is_quiet_when_all_jobs_have_ended_and_no_node_works(sample: Sample, quiet: bool) -> None:
    assert sample.is_quiet is quiet


def test_the_picture_has_each_job_and_each_state_that_was_seen() -> None:
    figure, (upper, lower) = plt.subplots(2)
    WATCHED.draw(upper, lower)
    assert [label.get_text() for label in upper.get_yticklabels()] == ["one", "two"]
    blue = to_hex(nodes.JOB_COLOURS["runs"])
    ran = [bar for bar in upper.patches if to_hex(bar.get_facecolor()) == blue and bar.get_width()]
    assert [(bar.get_x(), bar.get_width()) for bar in ran] == [(2.0, 2.0), (5.0, 3.0)]
    states = [text.get_text() for text in lower.get_legend().get_texts()]
    assert states == ["running", "idle", "preparing", "preempted"]
    assert lower.get_xlabel() and lower.get_ylabel()
    plt.close(figure)


def test_node_states_are_read_as_the_sdk_has_them_and_as_it_documents_them() -> None:
    """azure-ai-ml 1.35 fills ``nodeState``; its documentation says ``node_state``."""
    busy = {"nodeId": "a", "nodeState": "running", "runId": "one"}
    made = [
        AmlComputeNodeInfo._from_rest_object(AmlComputeNodeInformation(sent))
        for sent in (busy, {"nodeId": "b", "nodeState": "idle"})
    ]
    client = _client(listed=[*made, SimpleNamespace(node_id="c", node_state="Running", run_id="two")])
    assert nodes.node_states(client, "c") == {"idle": 1, "running": 2}
    assert nodes.running_nodes(client, "c") == ["a", "c"]


def test_jobs_that_follow_one_another_never_seem_to_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample takes a request for each job; here the first job ends, and the second begins, between two of them."""
    statuses = {"one": ["Running", "Completed"], "two": ["Queued", "Running", "Completed"]}
    asked: list[str] = []

    def get(name: str) -> SimpleNamespace:
        asked.append(name)
        return SimpleNamespace(status=statuses[name][min(len(asked) // 2, len(statuses[name]) - 1)])

    client = _client(listed=[])
    client.jobs.get = get
    monkeypatch.setattr(waiting, "SHORTEST_PAUSE", 0.0)
    watched = nodes.watch_cluster(client, "c", [_job("one"), _job("two")], alt="two jobs, one after the other")
    assert watched.most_running == 1


def test_waiting_for_a_job_ends_with_its_last_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "SHORTEST_PAUSE", 0.0)
    client = _client(["Queued", Status.RUNNING, "Failed"])
    assert jobs.wait_for_job(client, _job("one"), "the training", on_azure="3 minutes") == "Failed"
    assert capsys.readouterr().out == "✗ the training: Failed (on Azure: 3 minutes)\n"


def test_a_streamed_log_is_shown_without_the_lines_that_name_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    def stream(name: str) -> None:
        print(f"RunId: {name}\nWeb View: https://ml.azure.com/runs/{name}\n\nStreaming user_logs/std_log.txt")
        print("a line ", end="")
        print("in two pieces, with RunId: in it")

    client = SimpleNamespace(jobs=SimpleNamespace(stream=stream))
    jobs.stream_log(client, _job("one"))
    assert capsys.readouterr().out == "\nStreaming user_logs/std_log.txt\na line in two pieces, with RunId: in it\n"


def test_a_wait_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LONGEST_WAIT", 0.05)
    monkeypatch.setattr(waiting, "SHORTEST_PAUSE", 0.01)
    with pytest.raises(TimeoutError, match="Still waiting"):
        waiting.wait_until(lambda: False, "nothing")


class _Failing:
    """A poller of azure-core's LROPoller's ways: ``wait`` and ``result`` both raise the operation's error."""

    def __init__(self, *, at_once: bool) -> None:
        self._is_done = at_once

    def done(self) -> bool:
        return self._is_done

    def wait(self, timeout: float | None = None) -> None:
        self._is_done = True
        raise HttpResponseError("no quota")

    def result(self, timeout: float | None = None) -> None:
        raise HttpResponseError("no quota")


@pytest.mark.parametrize("at_once", [True, False])
def test_an_operation_that_fails_is_said_to_have_failed(at_once: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HttpResponseError, match="no quota"):
        waiting.wait(_Failing(at_once=at_once), "create the cluster")
    assert capsys.readouterr().out == "✗ create the cluster: failed\n"


def test_a_call_that_tells_nothing_is_seen_to_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "TICK", 0.01)
    before = threading.active_count()
    with pytest.raises(ValueError, match="no such base"), waiting.busy("build the image", on_azure="a minute"):
        while "s" not in (said := capsys.readouterr()).err.rpartition("minute): ")[2]:
            assert said.out == ""
        raise ValueError("no such base")
    assert threading.active_count() == before
