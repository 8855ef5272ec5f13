"""The watch on a deployment's instances, on answers in the form that azure-ai-ml gives them."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import pytest

import helpers
from helpers import instances


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each picture had to be drawn at once, in place of the pictures; and no pauses."""
    shown: list[bool] = []

    def show(_: object, draw: Any, *, at_once: bool = False) -> None:
        figure, axis = plt.subplots()
        draw(axis)
        plt.close(figure)
        shown.append(at_once)

    monkeypatch.setattr(instances.LivePicture, "show", show)
    monkeypatch.setattr(instances, "pauses", lambda: iter(range(20)))
    return shown


def watch(answers: Iterable[tuple[int, str]]) -> instances.InstanceWatch:
    left = iter(answers)

    def get(name: str, endpoint: str) -> Any:
        assert (name, endpoint) == ("blue", "tickets")
        count, state = next(left)
        return SimpleNamespace(instance_count=count, provisioning_state=state)

    client: Any = SimpleNamespace(online_deployments=SimpleNamespace(get=get))
    return helpers.watch_instances(client, "tickets", "blue", "One, two, one")


def test_it_watches_until_the_instances_are_there(pictures: list[bool]) -> None:
    watched = watch([(1, "Succeeded"), (2, "Updating"), (2, "Succeeded"), (1, "Updating"), (1, "Succeeded")])
    watched.until(2)
    assert (watched.counts, pictures) == ([1, 2], [False, False, True])
    watched.mark("load ends")
    watched.until(1)
    assert (watched.counts, pictures) == ([1, 2, 1], [False, False, True, False, True])


@pytest.mark.parametrize("state", ["Failed", "Canceled"])
def test_a_deployment_that_has_failed_is_not_watched_for_longer(pictures: list[bool], state: str) -> None:
    """The states are those of the client's DeploymentProvisioningState."""
    watched = watch([(1, "Succeeded"), (2, "Updating"), (2, state)])
    with pytest.raises(RuntimeError, match=rf'blue is {state}.*get_logs\("blue", "tickets", lines=200\)'):
        watched.until(2)
    assert pictures == [False, False, True]


def test_the_picture_shows_numbers_changes_and_marks() -> None:
    watched = watch([])
    watched._samples = [(0.0, 1, True), (1.0, 2, False), (2.0, 2, True)]
    watched.mark("load begins")
    figure, axis = plt.subplots()
    watched._draw(axis)
    assert [label.get_text() for label in axis.get_legend().get_texts()] == ["instances", "being changed"]
    assert [text.get_text() for text in axis.texts] == ["load begins"]
    assert axis.get_xlabel() and axis.get_ylabel() == "instances"
    plt.close(figure)
