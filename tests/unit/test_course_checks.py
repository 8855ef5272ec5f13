"""Each exercise's judge: right answers in differing forms, plausible wrong ones, wrong types, None, and none yet."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import requests
from IPython.core.formatters import DisplayFormatter
from sklearn.datasets import load_digits

import helpers
from helpers.checking import exercises_of
from helpers.outline import lessons
from helpers.verdicts import CheckResult

TRUTH = load_digits().target[::5]
NEARLY = np.where(np.arange(360) % 20 == 0, 1, TRUTH)


@pytest.fixture(autouse=True)
def _own_progress(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_WORKBOOK_PROGRESS", str(tmp_path / "progress.db"))


def _response(status: int = 200, body: object = None, key: str | None = "k1", **headers: str) -> requests.Response:
    """A response as requests makes it, with the request that it answers."""
    response = requests.Response()
    response.status_code = status
    response._content = json.dumps(body).encode()
    shown = {"Authorization": f"Bearer {key}"} if key else {}
    request = requests.Request("POST", "https://tumour.eastus.inference.ml.azure.com/score", {**shown, **headers})
    response.request = request.prepare()
    return response


def _blue(**changed: Any) -> requests.Response:
    return _response(**{"body": [{}] * 10, "azureml-model-deployment": "blue", **changed})


def _in_the_address() -> requests.Response:
    response = _blue(key=None)
    response.request.url = "https://tumour.eastus.inference.ml.azure.com/score?key=k1"
    return response


def _knocks(*pairs: tuple[str, int]) -> list[requests.Response]:
    return [_response(status, key=key) for key, status in pairs]


def _images(form: Callable[[np.ndarray], object]) -> Callable[[np.ndarray], object]:
    return lambda image: {"images": form(image)}


RIGHT: dict[str, list[object]] = {
    "first_model/to_request": [
        _images(lambda image: [image.ravel().tolist()]),
        _images(lambda image: [[float(pixel) for row in image for pixel in row]]),
        _images(lambda image: image.reshape(1, 64).astype(int).tolist()),
        lambda image: json.dumps({"images": image.reshape(1, -1).tolist()}),
    ],
    "first_model/all_at_once": [
        _response(body=NEARLY.tolist()),
        NEARLY.tolist(),
        NEARLY,
        tuple(NEARLY.tolist()),
        _response(body=TRUTH.tolist()),  # a better model than the lesson's
    ],
    "first_model/read_the_log": ["KeyError: 'images'", 'KeyError: "images"', "2026-01-01 | KeyError: 'images'\n"],
    "deploy_with_keys/by_hand": [_blue(), _blue(key="k2"), _blue(Extra="x")],
    "deploy_with_keys/rotate": [
        _knocks(("old", 401), ("first", 200), ("new", 200)),
        tuple(_knocks(("old", 401), ("first", 200), ("new", 200))),
    ],
    "deploy_with_keys/worth_retrying": [
        lambda status: status in (429, 503),
        lambda status: status == 429 or status >= 500,
        lambda status: int(status in {408, 429, 502, 503, 504}),
    ],
}

WRONG: dict[str, list[tuple[object, str]]] = {
    "first_model/to_request": [
        (_images(lambda image: image.ravel().tolist()), "one row of 64 values"),
        (_images(lambda image: [image.ravel()]), "JSON cannot hold"),
        (_images(lambda image: [image.tolist()]), "still 8 by 8"),
        (_images(lambda image: image.tolist()), "still 8 by 8"),
        (_images(lambda image: [image.T.ravel().tolist()]), "as they are"),
        (_images(lambda image: [(image / 16).ravel().tolist()]), "as they are"),
        (lambda image: {"image": [image.ravel().tolist()]}, 'under "images"'),
        (lambda image: [image.ravel().tolist()], 'under "images"'),
        (lambda image: None, 'under "images"'),
        (lambda: {}, "TypeError was raised"),
        ({"images": [[0] * 64]}, "a function is wanted, this is of type dict"),
    ],
    "first_model/all_at_once": [
        (_response(body=TRUTH[:5].tolist()), "5 digits came back"),
        (_response(424, {"message": "error"}), "answered 424"),
        (TRUTH, "is this the truth"),
        (NEARLY[::-1], "in order"),
        (200, "the list of digits"),
        ("0, 5", "the list of digits"),
        (_response(body={"message": "?"}), "the list of digits"),
    ],
    "first_model/read_the_log": [
        ("ValueError: X has 3 features, but LogisticRegression is expecting 64 features as input.", "three pixels"),
        ('{"message": "An unexpected error occurred in scoring script."}', "what the caller is told"),
        ("Traceback (most recent call last):\n  ...\nKeyError: 'images'", "Which line"),
        ("    images = json.loads(raw_data)['images']", "does not name the error"),
        (["KeyError: 'images'"], "of type list"),
    ],
    "deploy_with_keys/by_hand": [
        (_blue(key=None, status=401), "no key was shown"),
        (_response(status=401, key=None, body={}, Authorization="k1"), "no key was shown"),
        (_in_the_address(), "ends up in logs"),
        (_blue(status=401, body={}), "answered 401"),
        (_response(body=[{}] * 10), "Ask for blue by name"),
        (_blue(body=[{}] * 3), "3 diagnoses came back"),
        ([{}] * 10, "of type list"),
    ],
    "deploy_with_keys/rotate": [
        (_knocks(("old", 200), ("first", 401), ("new", 200)), "Which of the two was regenerated"),
        (_knocks(("old", 401), ("first", 200), ("old", 401)), "fetched anew"),
        (_knocks(("old", 401), ("first", 200)), "three responses are wanted, here are 2"),
        (_knocks(("old", 401), ("stale", 401), ("new", 200)), "should be let in"),
        (_knocks(("old", 404), ("first", 200), ("new", 200)), "got 404"),
        ([401, 200, 200], "a list of responses"),
        (_response(), "a list of responses"),
    ],
    "deploy_with_keys/worth_retrying": [
        (lambda status: status != 200, "401 is sent again"),
        (lambda status: status >= 400, "401 is sent again"),
        (lambda status: status in (424, 429, 503), "424 is sent again"),
        (lambda status: status == 503, "429 is not retried"),
        (lambda status: None, "429 is not retried"),
        ([429, 503], "a function is wanted"),
    ],
}
ALL = [exercise.id for lesson in lessons() for exercise in exercises_of(lesson.id)]


def test_each_exercise_is_tried_with_right_and_wrong_answers() -> None:
    assert set(RIGHT) == set(WRONG) == set(ALL)
    assert all(len(answers) >= 2 for answers in (*RIGHT.values(), *WRONG.values()))


@pytest.mark.parametrize(("exercise", "answer"), [(name, answer) for name in RIGHT for answer in RIGHT[name]])
def test_right_answers_are_accepted_in_any_form(exercise: str, answer: object) -> None:
    result = helpers.check(exercise, answer)
    assert result.ok is True, result.why
    assert result.why


@pytest.mark.parametrize(
    ("exercise", "answer", "why"), [(name, answer, why) for name in WRONG for answer, why in WRONG[name]]
)
def test_wrong_answers_are_refused_with_a_reason(exercise: str, answer: object, why: str) -> None:
    result = helpers.check(exercise, answer)
    assert result.ok is False
    assert why in result.why


@pytest.mark.parametrize("exercise", ALL)
def test_none_and_nothing_yet(exercise: str) -> None:
    assert helpers.check(exercise, None).ok is False
    assert "the answer is None" in helpers.check(exercise, None).why
    untouched = helpers.check(exercise, ...)
    assert untouched.ok is None
    assert untouched.why.startswith("still to be done. ") and len(untouched.why) > 40


def test_unknown_exercises_and_lessons_are_named_with_those_that_are_there() -> None:
    with pytest.raises(LookupError, match=r'no exercise "first_model/nothing".*first_model/to_request'):
        helpers.check("first_model/nothing", 1)
    for unknown in ("nothing/at_all", "nothing", "", "../../etc"):
        with pytest.raises(LookupError, match=r"There is no lesson .*first_model, deploy_with_keys"):
            helpers.check(unknown, 1)


def test_a_verdict_shows_as_text_as_html_and_to_programs() -> None:
    """The mark says what the colour says, and what a learner wrote cannot become markup."""
    shown, metadata = DisplayFormatter().format(CheckResult(False, "use `x` <script>", "lesson/name"))
    assert shown["text/plain"] == "✗ lesson/name: use `x` <script>"
    assert "✗ lesson/name: use <code>x</code> &lt;script&gt;" in shown["text/html"]
    assert metadata == {"exercise": "lesson/name", "ok": False, "why": "use `x` <script>"}


def test_a_quiz_says_of_each_answer_whether_and_why() -> None:
    untouched = str(helpers.quiz("first_model", ["?"] * 5))
    assert untouched.count("○ not answered yet") == 5
    assert untouched.endswith("0 of 5 right.")
    some = str(helpers.quiz("first_model", [" B", "a", "z", "", "?"]))
    assert "✓ An endpoint can have several" in some
    assert "✗ What is registered stays as it is" in some
    assert '○ "z" is none of a, b, c' in some
    assert some.endswith("1 of 5 right.")
    shown, _ = DisplayFormatter().format(helpers.quiz("deploy_with_keys", "?????"))
    assert "&lt;key&gt;" in shown["text/html"]


@pytest.mark.parametrize("answers", [["a"] * 4, "abcabc", []])
def test_a_quiz_wants_an_answer_to_each_question(answers: list[str]) -> None:
    with pytest.raises(ValueError, match=r"The quiz has 5 questions; [046] answers were given"):
        helpers.quiz("first_model", answers)
