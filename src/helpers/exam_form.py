"""A paper of the exam as a form to click in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from IPython.display import display

from helpers.exam_questions import Question
from helpers.verdicts import html

if TYPE_CHECKING:
    from helpers.exam import Paper


@dataclass(frozen=True)
class Field:
    """What is clicked to answer a question, and the letters that were clicked so far."""

    question: Question
    widgets: list[Any]
    clicked: Callable[[], str]

    @property
    def letters(self) -> str:
        """The answer; empty as long as it is none, e.g. with one choice too few."""
        try:
            return self.question.read(self.clicked())
        except ValueError:
            return ""


def _choices(question: Question) -> Any:
    """The choices with their letters, as text that wraps; what is clicked is a letter."""
    return widgets.HTML("<br>".join(f"{letter}) {html(choice.text)}" for letter, choice in question.labels))


def _one(question: Question) -> Field:
    letters = [letter for letter, _ in question.labels]
    buttons = widgets.ToggleButtons(options=letters, value=None, style={"button_width": "4em"})
    return Field(question, [_choices(question), buttons], lambda: buttons.value or "")


def _several(question: Question) -> Field:
    boxes = [widgets.ToggleButton(description=letter, layout={"width": "4em"}) for letter, _ in question.labels]
    row = widgets.HBox(boxes)
    return Field(question, [_choices(question), row], lambda: "".join(box.description for box in boxes if box.value))


def _in_order(question: Question) -> Field:
    letters = [("", ""), *((letter, letter) for letter, _ in question.labels)]
    steps = [widgets.Dropdown(options=letters, description=f"step {n + 1}") for n in range(len(question.key))]
    return Field(question, [_choices(question), *steps], lambda: "".join(step.value for step in steps))


def _yes_or_no(question: Question) -> Field:
    texts = [widgets.HTML(f"{letter}) {html(choice.text)}") for letter, choice in question.labels]
    options = [("yes", "y"), ("no", "n")]
    buttons = [widgets.ToggleButtons(options=options, value=None, style={"button_width": "4em"}) for _ in texts]
    rows = [part for pair in zip(texts, buttons, strict=True) for part in pair]
    return Field(question, rows, lambda: "".join(button.value or "" for button in buttons))


FIELDS = {"single_choice": _one, "multiple_choice": _several, "ordering": _in_order, "yes_no": _yes_or_no}


class Form(Mapping[int, str]):
    """A paper's questions with buttons; as a mapping, what is answered so far, by the question's number."""

    def __init__(self, paper: Paper) -> None:
        self.fields = [FIELDS[question.kind](question) for question in paper.questions]
        self.button = widgets.Button(description="Mark", button_style="primary")
        self.button.on_click(lambda _: self._show(paper))
        self._marks = widgets.Output()
        asked = [_asked(number, field) for number, field in enumerate(self.fields, start=1)]
        self.box = widgets.VBox([*asked, self.button, self._marks])

    def _show(self, paper: Paper) -> None:
        self._marks.clear_output()
        with self._marks:
            display(paper.mark(self))  # type: ignore[no-untyped-call]

    def _given(self) -> dict[int, str]:
        letters = {number: field.letters for number, field in enumerate(self.fields, start=1)}
        return {number: answer for number, answer in letters.items() if answer}

    def __getitem__(self, number: int) -> str:
        return self._given()[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._given())

    def __len__(self) -> int:
        return len(self._given())

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.box._repr_mimebundle_(**kwargs)


def _asked(number: int, field: Field) -> Any:
    question = field.question
    text = widgets.HTML(f"<b>{number}. {html(question.text)} <i>{question.task}</i></b>")
    return widgets.VBox([text, *field.widgets], layout=widgets.Layout(margin="0 0 1em 0"))
