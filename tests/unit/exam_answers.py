"""Right and wrong answers to the exercises of the mock exam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TODAY = {
    "inference cluster": "attached Kubernetes cluster",
    "NCv2": "NCasT4_v3",
    "Webservice.scoring_uri": "online_endpoints.get(name).scoring_uri",
    "published pipeline": "pipeline component deployment",
    "AmlComputeJobEvents": "AmlComputeJobEvent",
}
CHOICES = [
    {"text": "Standard_DS3_v2", "why": "It is for general purposes."},
    {"text": "Standard_NC4as_T4_v3", "right": True, "why": "It has a GPU."},
    {"text": "Standard_F4s_v2", "why": "It is for computing on processors."},
    {"text": "Standard_L8s_v3", "why": "It is for storage."},
]


def _read_first(part: Callable[[Any], float], of: Callable[[Any], Any] = lambda score: score.domain.title) -> Any:
    """A function that reads the domain first of which ``part`` is smallest."""
    return lambda scores: of(min(scores, key=part))


def _share(score: Any) -> float:
    return score.right / (score.right + score.wrong + score.open)


def _question(**changed: Any) -> dict[str, Any]:
    question = {"question": "Which size has a GPU?", "choices": CHOICES, "lesson": "choose_a_vm_size"}
    return {**question, "section": "The chooser", **changed}


def _choices(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**choice, **change} for choice, change in zip(CHOICES, changes, strict=True)]


RIGHT: dict[str, list[object]] = {
    "mock_exam/then_and_now": [
        TODAY,
        {word: today.upper() for word, today in TODAY.items()} | {"more": "than asked"},
        {word: f" {today} " for word, today in TODAY.items()},
    ],
    "mock_exam/read_first": [
        _read_first(_share),
        _read_first(_share, of=lambda score: score.domain),
        _read_first(_share, of=lambda score: score.domain.id),
        _read_first(_share, of=lambda score: score),
    ],
    "mock_exam/own_question": [
        _question(),
        _question(section="Two refusals "),
        _question(choices=tuple(_choices({"right": False}, {"right": 1}, {}, {"right": None}))),
    ],
}
WRONG: dict[str, list[tuple[object, str]]] = {
    "mock_exam/then_and_now": [
        ("", "a dictionary is wanted"),
        ([], "a dictionary is wanted"),
        ({}, "missing: inference cluster"),
        ({**TODAY, "inference cluster": "compute cluster"}, "inference cluster: look again"),
        ({**TODAY, "NCv2": "Fsv2"}, "NCv2: look again"),
        ({**TODAY, "NCv2": ...}, "NCv2: look again"),
        (
            {**TODAY, "Webservice.scoring_uri": "online_deployments.get(name).scoring_uri"},
            "an endpoint or a deployment",
        ),
        ({**TODAY, "published pipeline": "batch endpoint"}, "one version of a pipeline"),
        ({**TODAY, "AmlComputeJobEvents": "AmlRunStatusChangedEvent"}, "call the table"),
        (dict.fromkeys(TODAY, ""), "inference cluster: look again"),
    ],
    "mock_exam/read_first": [
        ("", "a function is wanted"),
        ([], "a function is wanted"),
        (lambda scores: None, "your function says None"),
        (_read_first(lambda score: score.right), "compare shares"),
        (_read_first(lambda score: -score.wrong), "open ones are not right"),
        (_read_first(lambda score: -_share(score)), "2 of 5 right"),
        (_read_first(lambda score: score.right / max(1, score.right + score.wrong)), "open ones are not right"),
        (lambda scores: scores[0].domain, "2 of 5 right"),
        (lambda scores: 1 / 0, "ZeroDivisionError"),
    ],
    "mock_exam/own_question": [
        ("", "a dictionary is wanted"),
        ({}, "missing: question, choices, lesson, section"),
        (_question(choices=[]), "missing: choices"),
        (_question(section=""), "missing: section"),
        (_question(choices="abcd"), "a list of dictionaries"),
        (_question(choices=CHOICES[:3]), "four choices are wanted, here are 3"),
        (_question(choices=_choices({"why": ""}, {}, {}, {})), "needs a text and a why"),
        (_question(choices=_choices({"text": "standard_l8s_v3"}, {}, {}, {})), "say the same"),
        (_question(choices=_choices({"why": "It is for storage."}, {}, {}, {})), "explained alike"),
        (_question(choices=_choices({"right": True}, {}, {}, {})), "exactly one choice is right, here 2"),
        (_question(choices=_choices({}, {"right": False}, {}, {})), "exactly one choice is right, here 0"),
        (_question(choices=_choices({}, {"text": "Standard_NC4as_T4_v3, " * 3}, {}, {})), "by far the longest"),
        (_question(lesson="vm_sizes"), 'There is no lesson "vm_sizes"'),
        (_question(section="Sizes"), 'has no section "Sizes"'),
    ],
}
