"""The values for Zero to JupyterHub: keys that the chart has, no privilege, no secret, and the image that we build.

The chart's own schema is not ours to keep here; ours is of the keys that are used, and names its source.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from workshop.doctor import costs

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "src" / "workshop" / "kubernetes"
VALUES = yaml.safe_load((FOLDER / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = Draft202012Validator(yaml.safe_load((FOLDER / "values.schema.yml").read_text(encoding="utf-8")))
DOCKERFILE = (ROOT / "src" / "workshop" / "image" / "Dockerfile").read_text(encoding="utf-8")
SECRET = re.compile(r"secret|password$|token|cert|^key$|crypt", re.IGNORECASE)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield key
            yield from _keys(below)
    elif isinstance(value, list):
        for below in value:
            yield from _keys(below)


def test_the_values_follow_the_schema() -> None:
    assert list(SCHEMA.iter_errors(VALUES)) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("singleuser", "memory", "limt"), "3G"),  # misspelt
        (("singleuser", "memory", "limit"), "3 GB"),
        (("singleuser", "cpu", "limit"), "two"),
        (("singleuser", "storage", "type"), "big"),
        (("hub", "config", "KubeSpawner", "privileged"), True),
        (("hub", "config", "JupyterHub", "authenticator_class"), "nativ"),
    ],
)
def test_a_wrong_value_is_noticed(place: tuple[str, ...], value: object) -> None:
    values = copy.deepcopy(VALUES)
    *path, last = place
    inside = values
    for key in path:
        inside = inside[key]
    inside[last] = value
    assert list(SCHEMA.iter_errors(values))


def test_no_secret_is_committed() -> None:
    assert [key for key in _keys(VALUES) if SECRET.search(key)] == []


def test_a_pod_has_no_privilege() -> None:
    context = VALUES["hub"]["config"]["KubeSpawner"]["container_security_context"]
    assert context["runAsNonRoot"] and context["readOnlyRootFilesystem"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not context["allowPrivilegeEscalation"] and not VALUES["singleuser"]["allowPrivilegeEscalation"]
    assert not VALUES["singleuser"]["cloudMetadata"]["blockWithIptables"], "its init container is privileged"


def test_a_pod_reaches_nothing_but_the_hub() -> None:
    policy = VALUES["singleuser"]["networkPolicy"]
    assert policy["enabled"] and not any(policy["egressAllowRules"].values())


def test_the_pod_is_that_of_the_image() -> None:
    user = re.search(r"useradd --uid (\d+) --create-home .* (\w+)$", DOCKERFILE, re.MULTILINE)
    assert user
    singleuser = VALUES["singleuser"]
    assert singleuser["uid"] == singleuser["fsGid"] == int(user[1])
    assert singleuser["storage"]["homeMountPath"] == f"/home/{user[2]}"
    assert f"USER {user[2]}" in DOCKERFILE
    assert f'CMD ["{singleuser["cmd"]}"]' in DOCKERFILE


def test_what_a_learner_takes_is_guaranteed() -> None:
    measured = costs.read(ROOT / "notebooks")
    memory, cpu = VALUES["singleuser"]["memory"], VALUES["singleuser"]["cpu"]
    takes = max(measured.lab + lesson.memory for lesson in measured.lessons)
    assert takes <= _bytes(memory["guarantee"]) < _bytes(memory["limit"])
    assert max(lesson.busy(learners=1, processors=1) for lesson in measured.lessons) <= cpu["guarantee"] < cpu["limit"]


def _bytes(value: str) -> int:
    """As KubeSpawner reads it: 1G is 2**30 bytes."""
    return int(value.removesuffix("G")) * 2**30
