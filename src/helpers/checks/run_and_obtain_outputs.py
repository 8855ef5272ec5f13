"""The exercises of *Run a batch pipeline and obtain its outputs*."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import requests

from helpers.verdicts import CheckResult, exercise, right, wrong

LITERALS = {"days": 3, "threshold": 0.2}
ALL_PAGES = 25
# Mini-batches (pages, rows that run() returned, or None where it raised an error), the threshold, whether the job
# completes: failed items are counted over the whole job, and -1 ignores all.
# https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-batch (settings.error_threshold)
JOBS: list[tuple[list[tuple[int, int | None]], int, bool, str]] = [
    ([(20, 20), (20, 20)], 0, True, "nothing failed"),
    ([(20, None), (20, 20)], 20, True, "twenty pages failed, and twenty are tolerated: only more are too many"),
    ([(20, None), (20, 20)], 19, False, "where run() raises an error, all pages of its mini-batch have failed"),
    ([(20, 19), (20, 18)], 2, False, "three rows are missing: the threshold is for the whole job, not a mini-batch"),
    ([(20, 19), (20, 18)], 3, True, "three rows are missing, and three are tolerated"),
    ([(20, 21), (20, 19)], 0, False, "a row too many in one mini-batch makes up for none in another"),
    ([(20, None), (20, 1)], -1, True, "-1 stands for: whatever fails"),
]


@exercise("run_and_obtain_outputs/by_hand", "Begin with the cell that posts `request`; change the literal inputs.")
def by_hand(answer: Any) -> CheckResult:
    """Accept the response to a POST that started a job for three days, with 0.2 as the threshold."""
    if not isinstance(answer, requests.Response):
        return wrong(f"the response itself is wanted; this is of type {type(answer).__name__}.")
    if answer.status_code in (401, 403):
        refused = f"{answer.status_code}: the endpoint wants a token, and one for https://ml.azure.com."
        return wrong(f"{refused} For which service is yours?")
    if not str(answer.request.url).partition("?")[0].rstrip("/").endswith("/jobs"):
        return wrong("that went to another address. Batch jobs are posted to the endpoint's `scoring_uri`.")
    if answer.status_code not in (200, 201):
        return wrong(f"the endpoint answered {answer.status_code}: {answer.text[:200]}")
    inputs = _inputs(answer.request.body)
    if "plan" not in inputs:
        return wrong("the job was started without a `plan`: where would the pipeline find flights?")
    for name, wanted in LITERALS.items():
        given = inputs.get(name, {}).get("value")
        if given is None:
            return wrong(f"the input `{name}` was not given, so its default holds. It is a Literal, with a Value.")
        if float(given) != wanted:
            return wrong(f"`{name}` was {given}; {wanted} is wanted.")
    if not answer.request.headers.get("repeatability_request-id"):
        return wrong("it was sent without a `repeatability_request-id`: a second try would start a second job.")
    return right("any program that can send this can start the pipeline, in whatever language it is written.")


def _inputs(body: Any) -> dict[str, dict[str, Any]]:
    """Return a request's inputs by name; the names of their fields in lower case: Azure takes both."""
    properties = _lower(json.loads(body or "{}")).get("properties", {})
    return {name: _lower(value) for name, value in _lower(properties).get("inputdata", {}).items()}


def _lower(value: dict[str, Any]) -> dict[str, Any]:
    return {key.lower(): inner for key, inner in value.items()}


@exercise("run_and_obtain_outputs/survives", "Add up what failed in all mini-batches; then compare with the threshold.")
def survives(answer: Any) -> CheckResult:
    """Accept a function that says whether a job completes, from its mini-batches and its error threshold."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for mini_batches, threshold, completes, why in JOBS:
        if bool(answer(list(mini_batches), threshold)) != completes:
            return wrong(f"{mini_batches} with a threshold of {threshold}: the job {_ends(completes)}, for {why}.")
    return right("set it to what you can do without, and you hear of the rest.")


def _ends(completes: bool) -> str:
    return "completes" if completes else "fails"


@exercise("run_and_obtain_outputs/read_pages", "Take `page_tables/score.py` as a model: a row, come what may.")
def read_pages(answer: Any) -> CheckResult:
    """Accept a function that returns a row for each page, in whatever form, also for a page that cannot be read."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    with tempfile.TemporaryDirectory() as folder:
        pages = _pages(Path(folder))
        rows = _rows(answer([str(page) for page in pages]))
    if len(rows) != len(pages):
        return wrong(f"{len(rows)} rows for {len(pages)} pages: each row that is missing counts as a failed page.")
    for page, row in zip(pages, rows, strict=True):
        if page.name not in row:
            return wrong(f"no row names {page.name}, or not in its place: nobody could tell whose digit it is.")
        said = re.search(r"\d", row.replace(str(page), "").replace(page.name, ""))
        if "blank" in page.name and said:
            return wrong(f"{page.name} cannot be read, and its row says: {row}. Who reads it takes that for a result.")
        if "blank" not in page.name and not said:
            return wrong(f"{page.name} can be read, and its row says no digit: {row}.")
    return right("one bad page costs one page, and whoever looks at the rows can see which.")


def _pages(folder: Path) -> list[Path]:
    """Write pages of which the second and the third are no images."""
    from PIL import Image
    from sklearn.datasets import load_digits

    pages = [folder / name for name in ("one.png", "blank.png", "blanker.png", "two.png")]
    for page, image in zip((pages[0], pages[3]), load_digits().images, strict=False):
        Image.fromarray((image * 15).astype("uint8")).save(page)
    pages[1].write_bytes(b"The scanner was out of order.")
    pages[2].write_bytes(b"")
    return pages


def _rows(answer: Any) -> list[str]:
    """Return each row as a text: of a data frame, or of a list of rows in any form."""
    if hasattr(answer, "itertuples"):
        return [" ".join(str(cell) for cell in row) for row in answer.itertuples(index=False)]
    if not isinstance(answer, Iterable) or isinstance(answer, str):
        raise TypeError(f"a data frame or a list of rows is to be returned, not {type(answer).__name__}")
    return [str(row) for row in answer]


@exercise("run_and_obtain_outputs/all_pages", "Invoke `slow` again with an override, wait, and read `predictions.csv`.")
def all_pages(answer: Any) -> CheckResult:
    """Accept a table with a row for each of the 25 pages, from a deployment whose time-out is too short for them."""
    if not hasattr(answer, "columns"):
        return wrong(f"the table of predictions is wanted; this is of type {type(answer).__name__}.")
    names = {name for row in _rows(answer) for name in re.findall(r"page-\d+\.png", row)}
    if len(names) < ALL_PAGES:
        why = "A mini-batch has to be done within the time-out: make it smaller, or allow it more time."
        return wrong(f"{len(names)} of {ALL_PAGES} pages are there. {why}")
    if len(answer) != ALL_PAGES:
        return wrong(f"{len(answer)} rows for {ALL_PAGES} pages: from how many jobs are they?")
    return right("the deployment stayed as it is; what was changed holds for one job.")
