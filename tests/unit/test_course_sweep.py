"""What the sweeper chooses, in which order it goes about it, and what it says; the workspace is written down here.

Deleting for real, on the service, is in ``tests/service/test_sweep.py``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from course import sweep
from course.prices import Prices
from course.sweep import Choice
from helpers import tags

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ALL = Choice(None, timedelta())


def tagged(run: str = "nightly", started: datetime = NOW) -> dict[str, str]:
    return {tags.RUN: run, tags.LESSON: "deploy", tags.STARTED: started.isoformat()}


@pytest.mark.parametrize(
    ("choice", "found", "held"),
    [
        (ALL, tagged(), True),
        (ALL, None, False),
        (ALL, {"team": "payments"}, False),
        (ALL, {tags.RUN: "nightly"}, False),
        (ALL, {tags.RUN: "nightly", tags.STARTED: "yesterday"}, False),
        (ALL, {tags.STARTED: NOW.isoformat()}, False),
        (Choice("nightly", timedelta()), tagged(), True),
        (Choice("weekly", timedelta()), tagged(), False),
        (Choice(None, timedelta(hours=6)), tagged(started=NOW - timedelta(hours=6)), True),
        (Choice(None, timedelta(hours=6)), tagged(started=NOW - timedelta(hours=5)), False),
    ],
)
def test_only_what_is_ours_and_was_chosen(choice: Choice, found: dict[str, str] | None, held: bool) -> None:
    assert choice.holds(found, NOW) is held


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], Choice(None, timedelta(hours=6))),
        (["--older-than", "90m"], Choice(None, timedelta(minutes=90))),
        (["--older-than", "0m"], ALL),
        (["--run", "nightly"], Choice("nightly", timedelta())),
        (["--run", "nightly", "--older-than", "2d"], Choice("nightly", timedelta(days=2))),
    ],
)
def test_what_a_command_line_chooses(arguments: list[str], expected: Choice) -> None:
    assert sweep._choice(sweep._parse(arguments)) == expected


@pytest.mark.parametrize("age", ["6", "6w", "-1h", "h", "1.5h"])
def test_age_that_is_none(age: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        sweep._parse([f"--older-than={age}"])
    assert f"{age} is no age; right are 90m, 6h or 2d" in capsys.readouterr().err


class Collection:
    """The operations of one kind of thing, which note what is done in ``log``."""

    def __init__(self, log: list[str], *things: Any, refuses: bool = False) -> None:
        self._log = log
        self._things = list(things)
        self._refuses = refuses

    def list(self, **_: object) -> list[Any]:
        return list(self._things)

    def list_nodes(self, name: str) -> list[Any]:
        return [SimpleNamespace(nodeState="idle"), SimpleNamespace(nodeState="preempted")]

    def list_sizes(self) -> list[Any]:
        values = [
            {"osType": "Linux", "vmTier": "Standard", "retailPrice": 0.5},
            {"osType": "Linux", "vmTier": "LowPriority", "retailPrice": 0.1},
            {"osType": "Windows", "vmTier": "Standard", "retailPrice": 0.9},
        ]
        return [
            SimpleNamespace(name="Standard_F2s_v2", estimatedVMPrices={"values": values}),
            SimpleNamespace(name="new"),
        ]

    def begin_delete(self, name: str, action: str = "") -> Any:
        self._log.append(f"delete {name} {action}".strip())
        if self._refuses:
            raise HttpResponseError("it is locked")
        self._things = [one for one in self._things if one.name != name]
        return SimpleNamespace(result=lambda: None)

    def archive(self, name: str, version: str) -> None:
        self._log.append(f"archive {name}:{version}")

    def begin_disable(self, name: str) -> Any:
        self._log.append(f"disable {name}")
        return SimpleNamespace(result=lambda: None)

    def begin_cancel(self, name: str) -> Any:
        self._log.append(f"cancel {name}")
        self._things = [one for one in self._things if one.name != name]
        return SimpleNamespace(result=lambda: None)


def thing(name: str, **more: object) -> SimpleNamespace:
    return SimpleNamespace(name=name, **{"tags": tagged(), **more})


def workspace(log: list[str], **changed: Any) -> Any:
    kinds = ("schedules", "jobs", "online_endpoints", "batch_endpoints", "compute", "registries", "online_deployments")
    empty = {kind: Collection(log) for kind in (*kinds, *sweep._ASSETS.values())}
    return SimpleNamespace(**{**empty, **changed})


def test_schedules_go_first_and_what_is_attached_stays(capsys: pytest.CaptureFixture[str]) -> None:
    log: list[str] = []
    client = workspace(
        log,
        compute=Collection(
            log,
            thing("cluster", type="amlcompute", size="Standard_F2s_v2", tier="dedicated"),
            thing("vm", type="virtualmachine"),
            thing("lent", type="amlcompute", tags={"team": "payments"}),
        ),
        jobs=Collection(log, thing("runs", status="Running"), thing("ended", status=SimpleNamespace(value="Failed"))),
        schedules=Collection(log, thing("nights")),
        registries=Collection(log, thing("shared")),
    )
    assert sweep.sweep(client, ALL, sweep.find(client, ALL)) == []
    assert log == [
        "disable nights",
        "delete nights",
        "cancel runs",
        "delete cluster Delete",
        "delete vm Detach",
        "delete shared",
    ]
    assert "✓ registry shared: gone" in capsys.readouterr().out


def test_what_cannot_be_deleted_is_said_and_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log: list[str] = []
    client = workspace(
        log,
        online_endpoints=Collection(log, thing("locked"), refuses=True),
        batch_endpoints=Collection(log, thing("free")),
    )
    monkeypatch.setattr("helpers.connect", lambda backend: client)
    assert sweep.main(["--older-than", "0m", "--yes"]) == 1
    said = capsys.readouterr().out
    assert "✗ online endpoint locked: it is locked" in said
    assert "✓ batch endpoint free: gone" in said
    assert said.rstrip().endswith("1 left, together 0.00 USD an hour.")


def test_assets_alone_are_nothing_to_fail_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lessons that end well leave them, too: they cannot be deleted, and cost next to nothing."""
    client = workspace([], models=Collection([], thing("digits", version="1")))
    monkeypatch.setattr("helpers.connect", lambda backend: client)
    assert sweep.main(["--older-than", "0m"]) == 0
    assert "digits:1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "what", "usd"),
    [
        ("compute", {"type": "amlcompute", "size": "STANDARD_F2S_V2", "tier": "dedicated"}, 0.5),
        ("compute", {"type": "amlcompute", "size": "STANDARD_F2S_V2", "tier": "low_priority"}, 0.1),
        ("compute", {"type": "computeinstance", "size": "Standard_F2s_v2", "state": "Running"}, 0.5),
        ("compute", {"type": "computeinstance", "size": "Standard_F2s_v2", "state": "Stopped"}, 0.0),
        ("compute", {"type": "virtualmachine"}, None),
        ("online endpoint", {}, 1.5),
        ("batch endpoint", {}, None),
    ],
)
def test_price_an_hour(kind: str, what: dict[str, object], usd: float | None) -> None:
    """A preempted node is none; a Kubernetes instance type has no price of its own."""
    deployments = Collection(
        [],
        SimpleNamespace(instance_type="Standard_F2s_v2", instance_count=3),
        SimpleNamespace(instance_type="defaultinstancetype", instance_count=2),
    )
    client = workspace([], compute=Collection([]), online_deployments=deployments)
    assert Prices(client).of(kind, thing("it", **what)) == usd
