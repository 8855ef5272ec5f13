"""The exercises of *Score your first model*."""

from __future__ import annotations

import json
from typing import Any

import requests

from helpers.verdicts import CheckResult, exercise, right, wrong

TEST_IMAGES = 360
ENOUGH_RIGHT = 0.9


@exercise("first_model/to_request", "Write a function of one 8 by 8 image, and look at what the lesson sent.")
def to_request(answer: Any) -> CheckResult:
    """Accept a function that turns an 8 by 8 image into a body for the endpoint that JSON can hold."""
    import numpy as np

    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    image = np.arange(64.0).reshape(8, 8) % 17
    body = answer(image)
    try:
        body = json.loads(body if isinstance(body, str) else json.dumps(body))
    except TypeError:
        return wrong("JSON cannot hold NumPy's arrays. Which of their methods makes a list?")
    if not isinstance(body, dict) or list(body) != ["images"]:
        return wrong('score.py looks for one thing in the body: what stands under "images".')
    images = np.array(body["images"])
    if images.shape == (64,):
        return wrong("that is one row of 64 values; score.py wants a list of such rows, even for one image.")
    if images.shape in ((8, 8), (1, 8, 8)):
        return wrong("the model learned from rows of 64 values; this image is still 8 by 8.")
    if images.shape != (1, 64) or not np.array_equal(images[0], image.ravel()):
        return wrong("the body should hold this one image, its 64 values row by row, as they are.")
    return right("any program that can write this JSON can now ask your model.")


@exercise("first_model/all_at_once", "Call `helpers.score` once, with all of `test_images`; keep what it returns.")
def all_at_once(answer: Any) -> CheckResult:
    """Accept the response to one request with all test images, or the digits in it."""
    import numpy as np
    from sklearn.datasets import load_digits

    answered = isinstance(answer, requests.Response)
    if answered and answer.status_code != 200:
        return wrong(f"the endpoint answered {answer.status_code}. What does the deployment's log say?")
    digits = np.asarray(answer.json() if answered else answer)
    if digits.ndim != 1 or not np.issubdtype(digits.dtype, np.integer):
        return wrong("the endpoint's response is wanted, or the list of digits in it.")
    if len(digits) != TEST_IMAGES:
        return wrong(f"{len(digits)} digits came back; one is wanted for each of the {TEST_IMAGES} test images.")
    share = float(np.mean(digits == load_digits().target[::5]))
    if share < ENOUGH_RIGHT:
        return wrong(f"only {share:.0%} are right, the model can do better. Were these the test images, in order?")
    if share == 1 and not answered:
        return wrong("all are right: is this the truth, rather than what the model answered?")
    return right(f"{TEST_IMAGES} answers for one request. Many small requests would have taken far longer.")


@exercise("first_model/read_the_log", 'Send {"pictures": []}, then fetch the log as above, and look for another error.')
def read_the_log(answer: Any) -> CheckResult:
    """Accept any text that holds the exception's type and the key that was missing."""
    if not isinstance(answer, str):
        return wrong(f"a line of the log is wanted, as text; this is of type {type(answer).__name__}.")
    if "Traceback" in answer:
        return wrong("that is much of the log. Which line of it names the error?")
    if "unexpected error occurred" in answer:
        return wrong("that is what the caller is told. The log says more.")
    if "ValueError" in answer:
        return wrong("that is the error of the image with three pixels. Yours is further down in the log.")
    if "KeyError" not in answer or "images" not in answer:
        return wrong("that line does not name the error. An exception's line begins with its type.")
    return right("the caller only saw 424; the log names the key that the script looked for in vain.")
