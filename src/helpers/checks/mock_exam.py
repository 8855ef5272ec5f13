"""The exercises of *Mock exam*."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from helpers import outline
from helpers.exam import Score
from helpers.exam_questions import domains
from helpers.verdicts import CheckResult, exercise, right, wrong

# What notebooks/exam_domain.yml says of each, in a word.
TODAY = {
    "inference cluster": "attached Kubernetes cluster",
    "NCv2": "NCasT4_v3",
    "Webservice.scoring_uri": "online_endpoints.get(name).scoring_uri",
    "published pipeline": "pipeline component deployment",
    "AmlComputeJobEvents": "AmlComputeJobEvent",
}
LOOK_AGAIN = {
    "inference cluster": "it is Kubernetes, and serves in real time. What does a workspace do with such a cluster?",
    "NCv2": "it has to have a GPU, with as much memory as NCv2's had.",
    "Webservice.scoring_uri": "what has an address, an endpoint or a deployment?",
    "published pipeline": "it is one version of a pipeline, at an address which is another thing.",
    "AmlComputeJobEvents": "what does Azure Monitor call the table?",
}


@exercise("mock_exam/then_and_now", "Give each of the five older words one of the words of the list.")
def then_and_now(answer: Any) -> CheckResult:
    """Accept a dictionary that names for each older word what is true today."""
    if not isinstance(answer, Mapping):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    if missing := [word for word in TODAY if word not in answer]:
        return wrong(f"missing: {', '.join(missing)}.")
    for word, today in TODAY.items():
        if "".join(str(answer[word]).lower().split()) != "".join(today.lower().split()):
            return wrong(f"{word}: look again; {LOOK_AGAIN[word]}")
    return right("an exam that uses the old word and one that uses the new one ask you the same.")


def _scores(*counts: tuple[int, int, int]) -> list[Score]:
    return [Score(domain, *count) for domain, count in zip(domains(), counts, strict=True)]


# Right, wrong and open of each domain, and which of them is to be read first.
CASES = (
    (((5, 0, 0), (4, 1, 0), (2, 3, 0), (4, 1, 0)), 2, "one domain has 2 of 5 right and the others 4 or more"),
    (((5, 0, 0), (5, 0, 0), (5, 0, 0), (3, 2, 0)), 3, "one domain has 3 of 5 right and the others all"),
    (((1, 1, 0), (4, 8, 0), (3, 1, 0), (5, 5, 0)), 1, "one domain has 4 of 12 right, another 1 of 2: compare shares"),
    (((3, 1, 1), (5, 0, 0), (2, 0, 3), (4, 1, 0)), 2, "one domain has 2 right and 3 open: open ones are not right"),
)


@exercise("mock_exam/read_first", "Write a function of a list like `marks.by_domain` that returns a title.")
def read_first(answer: Any) -> CheckResult:
    """Accept a function that returns the domain with the smallest share of right answers: its title, id or itself."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for counts, place, told in CASES:
        scores = _scores(*counts)
        first = scores[place].domain
        given = answer(scores)
        if given not in (first, first.title, first.id, scores[place]):
            return wrong(f"of four domains, {told}; your function says {given!r}.")
    return right("an hour is best spent where most is missing, and not where most was asked.")


@exercise("mock_exam/own_question", "Write a dictionary with question, choices, lesson and section.")
def own_question(answer: Any) -> CheckResult:
    """Accept a question of the form of the exam's: one of four choices right, each explained, tied to a lesson."""
    if not isinstance(answer, Mapping):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    if missing := [name for name in ("question", "choices", "lesson", "section") if not answer.get(name)]:
        return wrong(f"missing: {', '.join(missing)}.")
    if fault := _fault_of_choices(answer["choices"]) or _fault_of_place(
        str(answer["lesson"]), str(answer["section"]).strip()
    ):
        return wrong(fault)
    return right("who can say why three choices are wrong has understood the fourth. Try it on a colleague.")


def _fault_of_choices(choices: Any) -> str:
    if not isinstance(choices, Sequence) or not all(isinstance(choice, Mapping) for choice in choices):
        return "choices are a list of dictionaries."
    if len(choices) != 4:
        return f"four choices are wanted, here are {len(choices)}."
    texts = [str(choice.get("text", "")).strip() for choice in choices]
    reasons = [str(choice.get("why", "")).strip() for choice in choices]
    if not all(texts) or not all(reasons):
        return "each choice needs a text and a why, the wrong ones, too."
    if len({text.lower() for text in texts}) < 4 or len({reason.lower() for reason in reasons}) < 4:
        return "two choices say the same, or are explained alike. What is wrong with each of them?"
    rights = [bool(choice.get("right")) for choice in choices]
    if sum(rights) != 1:
        return f"exactly one choice is right, here {sum(rights)} are."
    others = [len(text) for text, ok in zip(texts, rights, strict=True) if not ok]
    if len(texts[rights.index(True)]) > 1.5 * max(others):
        return "the right choice is by far the longest, so nobody needs to know anything. Make it shorter."
    return ""


def _fault_of_place(lesson: str, section: str) -> str:
    try:
        notebook = outline.find(lesson).path
    except LookupError as error:
        return str(error)
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = [line for cell in cells if cell["cell_type"] == "markdown" for line in "".join(cell["source"]).splitlines()]
    headings = [line.lstrip("#").strip() for line in lines if line.startswith("#")]
    return "" if section in headings else f'lesson {lesson} has no section "{section}".'
