"""The mock exam: papers drawn by a seed, answers in any form, marks, what to read again, and the form to click."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from IPython.core.formatters import DisplayFormatter

import helpers
from course import learner
from helpers import exam, progress_file
from helpers.exam_questions import Choice, Domain, Question

A, B = Choice("one", "it is one", right=True), Choice("two", "it is two")
C, D = Choice("three <b>", "it is `three`", right=True), Choice("four", "it is four")
ONE, OTHER = Domain("compute", "Create production compute targets"), Domain("batch", "Batch")


def _question(kind: str, *choices: Choice, domain: Domain = ONE) -> Question:
    place = {"difficulty": "easy", "lesson": "choose_a_vm_size", "section": "The chooser"}
    return Question("q", domain, kind, text=f"{kind}?", choices=choices, source={}, **place)


SINGLE = _question("single_choice", B, A, D, Choice("five", "it is five"))
SEVERAL = _question("multiple_choice", A, B, C, D)
ORDER = _question("ordering", Choice("x", "2nd", place=2), D, Choice("y", "3rd", place=3), Choice("z", "1st", place=1))
SERIES = _question("yes_no", A, B, C)


@pytest.fixture(autouse=True)
def _own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress_file.VARIABLE, str(tmp_path / "progress.db"))


def _solved(paper: exam.Paper, wrong: int = 0) -> dict[int, str]:
    """The right answers, and to the first ``wrong`` questions wrong ones."""
    answers = dict(enumerate((question.key for question in paper.questions), start=1))
    return {number: _other(paper.questions[number - 1]) if number <= wrong else key for number, key in answers.items()}


def _other(question: Question) -> str:
    """A wrong answer of the right form."""
    if question.kind == "yes_no":
        return question.key.translate(str.maketrans("yn", "ny"))
    letters = [letter for letter, _ in question.labels if letter not in question.key]
    return question.key[::-1] if question.kind == "ordering" else letters[0] + question.key[1:]


def test_the_same_seed_draws_the_same_paper_and_another_seed_another() -> None:
    assert exam.draw(3) == exam.draw(3)
    papers = {tuple(question.id for question in exam.draw(seed).questions) for seed in range(20)}
    assert len(papers) == 20


def test_a_paper_is_the_same_on_every_python() -> None:
    """What is stored in the lesson; a question that is added or moved changes it, and this line."""
    drawn = [question.id for question in exam.draw(1).questions[:3]]
    assert drawn == ["quota_for_an_update", "read_the_answer", "version_two_of_a_pipeline"]


@pytest.mark.parametrize("questions", [1, 3, 4, 19, 20, 22, 60])
def test_a_paper_is_balanced_over_the_domains_and_has_no_question_twice(questions: int) -> None:
    drawn = exam.draw(5, questions).questions
    assert len({question.id for question in drawn}) == len(drawn) == questions
    counts = Counter(question.domain.id for question in drawn)
    shares = [counts[domain.id] for domain in exam.domains()]
    assert max(shares) - min(shares) <= 1


def test_which_domain_has_one_more_is_left_to_chance() -> None:
    extra = {Counter(q.domain.id for q in exam.draw(seed, 5).questions).most_common(1)[0][0] for seed in range(40)}
    assert extra == {domain.id for domain in exam.domains()}


def test_choices_are_shuffled_so_that_no_letter_is_right_more_often() -> None:
    keys = Counter(q.key for seed in range(100) for q in exam.draw(seed, 60).questions if q.kind == "single_choice")
    expected = sum(keys.values()) / 4
    assert set(keys) == set("abcd")
    assert all(0.9 * expected < count < 1.1 * expected for count in keys.values()), keys


def test_one_domain_can_be_practised() -> None:
    practice = exam.draw(1, 5, "batch")
    assert {question.domain.id for question in practice.questions} == {"batch"}
    with pytest.raises(LookupError, match=r'no domain "bath"\. The domains are compute, realtime, batch, designer\.'):
        exam.draw(1, 5, "bath")


@pytest.mark.parametrize(("questions", "domain", "most"), [(0, None, 60), (61, None, 60), (16, "batch", 15)])
def test_a_paper_that_cannot_be_drawn(questions: int, domain: str | None, most: int) -> None:
    with pytest.raises(ValueError, match=f"A paper of {questions} questions .* from 1 to {most}"):
        exam.draw(1, questions, domain)


@pytest.mark.parametrize(
    ("question", "key", "task"),
    [
        (SINGLE, "b", "Choose one."),
        (SEVERAL, "ac", "Choose two."),
        (ORDER, "dac", "Which three steps, in which order?"),
        (SERIES, "yny", "Yes or no?"),
    ],
)
def test_each_kind_has_its_key_and_says_what_is_wanted(question: Question, key: str, task: str) -> None:
    assert (question.key, question.task) == (key, task)


@pytest.mark.parametrize(
    ("question", "answer", "letters"),
    [
        (SINGLE, "b", "b"),
        (SINGLE, " B ", "b"),
        (SEVERAL, "ca", "ac"),
        (SEVERAL, "c, a", "ac"),
        (SEVERAL, ["c", "a"], "ac"),
        (ORDER, "dac", "dac"),
        (ORDER, ("c", "a", "d"), "cad"),
        (SERIES, "yny", "yny"),
        (SERIES, "yes, no, yes", "yny"),
        (SERIES, ["No", "no", "YES"], "nny"),
    ],
)
def test_an_answer_may_be_written_in_any_form(question: Question, answer: object, letters: str) -> None:
    assert question.read(answer) == letters


@pytest.mark.parametrize(
    ("question", "answer", "wanted"),
    [
        (SINGLE, "e", "one letter of a, b, c, d"),
        (SINGLE, "ab", "one letter"),
        (SINGLE, 2, "one letter"),
        (SINGLE, ..., "one letter"),
        (SEVERAL, "a", "two different letters of a, b, c, d"),
        (SEVERAL, "aa", "two different letters"),
        (SEVERAL, "abc", "two different letters"),
        (ORDER, "ddd", "three different letters"),
        (ORDER, "dacb", "three different letters"),
        (SERIES, "yn", 'a y or an n for each of 3 statements, such as "yny"'),
        (SERIES, "abc", "a y or an n"),
        (SERIES, [True, False, True], "a y or an n"),
    ],
)
def test_what_is_no_answer_is_refused_and_says_what_would_be(question: Question, answer: object, wanted: str) -> None:
    with pytest.raises(ValueError, match=re.escape(wanted)):
        question.read(answer)
    with pytest.raises(ValueError, match=r"^Question 1: "):
        exam.Paper((question,), whole=False).mark({1: answer})


@pytest.mark.parametrize(("answers", "number"), [({0: "a"}, "0"), ({5: "a"}, "5"), ({"x": "a"}, "x")])
def test_a_question_that_is_not_there(answers: dict[object, str], number: str) -> None:
    with pytest.raises(ValueError, match=f"Question {number} is not there: the paper has questions 1 to 4"):
        exam.Paper((SINGLE, SEVERAL, ORDER, SERIES), whole=False).mark(answers)


def test_a_question_counts_when_all_of_its_answer_is_right() -> None:
    paper = exam.Paper((SINGLE, SEVERAL, ORDER, SERIES), whole=False)
    assert paper.mark({1: "b", 2: "ca", 3: "dac", 4: "yny"}).right == 4
    marks = paper.mark({1: "a", 2: "ab", 3: "adc", 4: "yyy"})
    assert [answer.ok for answer in marks.answers] == [False] * 4
    assert marks.right == 0


@pytest.mark.parametrize("answers", [None, {}, {1: "?", 2: "", 3: None}])
def test_unattended_all_is_open_and_nothing_fails(answers: dict[int, object] | None) -> None:
    paper = exam.draw(1)
    marks = paper.mark(answers)
    assert str(marks).startswith("0 of 20 right. Still open: 1, 2, 3, ")
    assert [score.open for score in marks.by_domain] == [5, 5, 5, 5]
    assert "5 open" in str(marks.reading) and "\n   " not in str(marks.reading)
    assert progress_file.kept() == progress_file.Kept(set(), {})


def test_answers_may_come_from_a_command_line_as_text() -> None:
    """papermill hands on a dictionary of JSON, whose keys are texts."""
    paper = exam.draw(1)
    assert paper.mark({str(number): answer for number, answer in _solved(paper).items()}).right == 20


@pytest.mark.parametrize(("wrong", "verdict"), [(0, "20 of 20 right: passed"), (6, "14 of 20 right: passed")])
def test_a_pass_is_seven_in_ten(wrong: int, verdict: str) -> None:
    paper = exam.draw(2)
    assert verdict in str(paper.mark(_solved(paper, wrong)))


def test_one_less_is_no_pass_and_says_what_a_pass_is() -> None:
    paper = exam.draw(2)
    assert str(paper.mark(_solved(paper, 7))).endswith("13 of 20 right: not passed (a pass is 70%).")


def test_marks_explain_each_choice_and_show_what_is_right() -> None:
    marks = exam.Paper((SINGLE, SEVERAL), whole=False).mark({1: "a", 2: "ac"})
    assert "✗ 1. a. Right is b.\n   a) it is two\n   b) it is one" in str(marks)
    assert "✓ 2. ac.\n" in str(marks)
    shown = DisplayFormatter().format(marks)[0]["text/html"]
    assert shown.count("<details open>") == 1 and shown.count("<details>") == 1, "unfolded where it was wrong"
    assert "three &lt;b&gt;" in shown and "<code>three</code>" in shown


def test_a_paper_shows_questions_and_folds_the_explanations_away() -> None:
    paper = exam.draw(1)
    shown = DisplayFormatter().format(paper)[0]
    assert "Right:" not in shown["text/plain"]
    folded = re.sub(r"<details>.*?</details>", "", shown["text/html"], flags=re.DOTALL)
    assert "Right:" not in folded and shown["text/html"].count("<details>") == 20
    for question in paper.questions:
        assert not any(choice.why in shown["text/plain"] for choice in question.choices)


def test_scores_by_domain_are_in_the_notes_order_and_add_up() -> None:
    paper = exam.draw(4)
    scores = paper.mark({**_solved(paper, 10), 20: "?"}).by_domain
    assert [score.domain for score in scores] == exam.domains()
    assert (sum(s.right for s in scores), sum(s.wrong for s in scores), sum(s.open for s in scores)) == (9, 10, 1)


def test_what_was_answered_wrongly_is_to_be_read_again_by_a_link_to_its_section() -> None:
    paper = exam.draw(4)
    marks = paper.mark(_solved(paper, 1))
    question = paper.questions[0]
    assert str(marks.reading).count("\n   ") == 1
    assert f": {question.section}" in str(marks.reading)
    (link,) = re.findall(r'href="(.+?)"', DisplayFormatter().format(marks.reading)[0]["text/html"])
    notebook, _, anchor = link.partition("#")
    assert (helpers.lesson_folder("05_capstone") / notebook).is_file()
    assert " " not in anchor


def test_the_best_result_is_kept_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    paper = exam.draw(1)
    for wrong in (10, 8, 12):
        paper.mark(_solved(paper, wrong))
    assert progress_file.kept() == progress_file.Kept(set(), {"mock_exam": (12, 20)})
    assert "○ exam 12 of 20" in str(helpers.progress("mock_exam"))
    paper.mark(_solved(paper, 5))
    paper.mark(_solved(paper, 20))
    assert "✓ exam 15 of 20" in str(helpers.progress("mock_exam"))
    learner.main([])
    assert "✓ exam 15 of 20" in capsys.readouterr().out


def test_a_larger_paper_is_compared_by_its_share() -> None:
    small, large = exam.draw(1), exam.draw(1, 40)
    small.mark(_solved(small, 4))
    large.mark(_solved(large, 10))
    assert progress_file.kept().best == {"mock_exam": (16, 20)}
    large.mark(_solved(large, 6))
    assert progress_file.kept().best == {"mock_exam": (34, 40)}


def test_neither_practice_nor_a_short_paper_nor_a_guess_is_kept() -> None:
    for paper in (exam.draw(1, 15, "batch"), exam.draw(1, 4)):
        assert paper.mark(_solved(paper)).passed
    paper = exam.draw(1)
    paper.mark(_solved(paper), keep=False)
    assert progress_file.kept() == progress_file.Kept(set(), {})


def test_a_progress_file_of_the_first_format_keeps_what_it_has(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "progress.db") as old:
        old.execute("CREATE TABLE done (lesson TEXT, item TEXT, at TEXT, PRIMARY KEY (lesson, item)) WITHOUT ROWID")
        old.execute("INSERT INTO done VALUES ('first_model', 'to_request', '2026-01-01T00:00:00Z')")
        old.execute("PRAGMA user_version = 1")
    progress_file.note_best("mock_exam", 12, 20)
    assert progress_file.kept() == progress_file.Kept({("first_model", "to_request")}, {"mock_exam": (12, 20)})


def test_guesses_are_answers_and_the_same_for_the_same_seed() -> None:
    paper = exam.draw(1)
    assert paper.guess(7) == paper.guess(7) != paper.guess(8)
    rights = [paper.mark(paper.guess(seed), keep=False).right for seed in range(200)]
    assert 2 < sum(rights) / len(rights) < 5, "a fourth of the single choices, and less of the others"


def test_a_form_gives_the_answers_that_were_clicked() -> None:
    paper = exam.Paper((SINGLE, SEVERAL, ORDER, SERIES), whole=False)
    form = paper.form()
    assert dict(form) == {}
    single, several, order, series = form.fields
    single.widgets[1].value = "b"
    boxes = several.widgets[1].children
    boxes[0].value = boxes[2].value = True
    for step, letter in zip(order.widgets[1:], "dac", strict=True):
        step.value = letter
    for button, answer in zip(series.widgets[1::2], "yn", strict=False):
        button.value = answer
    assert dict(form) == {1: "b", 2: "ac", 3: "dac"}, "a series with a statement too few is open"
    series.widgets[5].value = "y"
    assert paper.mark(form).right == 4
    boxes[1].value = True
    assert 2 not in form, "three are not two"


def test_a_forms_button_marks_and_keeps_the_result() -> None:
    paper = exam.draw(1)
    form = paper.form()
    for question, field in zip(paper.questions, form.fields, strict=True):
        if question.kind == "single_choice":
            field.widgets[1].value = question.key
    form.button.click()
    assert progress_file.kept().best["mock_exam"] == (len(form), 20)
    assert "application/vnd.jupyter.widget-view+json" in form._repr_mimebundle_()
