"""The exam's questions and the map of the notes' statements: whole, tied to lessons, and not to be guessed."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from lessons import LESSONS, ROOT, read, text

from course.documents import read as read_document
from helpers import outline
from helpers.exam import draw
from helpers.exam_questions import Domain, Question, domains, questions_of

FOLDER = ROOT / "notebooks/05_capstone/exam"
KNOWN = read_document(ROOT / "notebooks/exam_domain.yml", "exam_domain")
STATEMENTS = {
    statement["id"]: (domain["id"], statement) for domain in KNOWN["domains"] for statement in domain["statements"]
}
ENTRIES = [
    (domain["id"], entry)
    for domain in KNOWN["domains"]
    for entry in read_document(FOLDER / f"{domain['id']}.yml", "exam")["questions"]
]
IDS = [entry["id"] for _, entry in ENTRIES]
# What the notes speak of, in their order: each has a statement of its own that says so.
NOTES = (
    "security",
    "weigh the kinds of compute",
    "NCv2",
    "DSv2",
    "FS sizes",
    "Lsv2",
    "inference cluster deploys",
    "scoring, is to ask",
    "built on AKS",
    "compute cluster does not serve in real time",
    "Attached compute does not serve in real time",
    "Attached compute links",
    "Apache Spark",
    "Databricks' clusters often run pipelines",
    "work with other teams",
    "processing on demand",
    "CPU or CPU",
    "lower the cost",
    "AKS could in theory",
    "Attached compute is not for scalable",
    "Neither an inference cluster nor a compute cluster",
    "settings of a deployment",
    "consume what is deployed",
    "wrong with a deployment's container",
    "Docker has to be installed",
    "many operating systems",
    "HTTP endpoint",
    "define the port",
    "virtualised app",
    "valid API key",
    "REST interface",
    "`scoring_uri`",
    "bearer header",
    "HTTP POST",
    "publish a pipeline",
    "obtain its outputs",
    "AmlComputeJobEvent is one of the logs",
    "the table AmlComputeJobEvents",
    "ExecutionState",
    "create a compute resource",
    "configure an inference pipeline",
    "consume the endpoint",
)
# Where the notes are out of date, or say it too simply.
OUT_OF_DATE = {
    "gpu_ncv2": "retired",
    "fs_compute": "Fsv2",
    "inference_cluster": "attached Kubernetes cluster",
    "cluster_not_real_time": "dedicated",
    "cluster_nodes": "GPU",
    "databricks_pipelines": "DatabricksStep",
    "attached_links": "Resource Manager",
    "aks_on_demand": "Jobs do run",
    "local_port": "5001",
    "key_authentication": "auth_mode",
    "scoring_uri": "online_endpoints.get",
    "publish_batch": "pipeline component",
    "job_events": "diagnostic setting",
    "job_events_table": "singular",
    "create_target": "managed online endpoint",
    "configure_inference": "components of version 2",
}
# The words that a learner meets in older exams: each has its question.
OLDER_TERMS = ("NCv2", "inference cluster", "Webservice", "published pipeline", "AmlComputeJobEvents")


@cache
def _headings(lesson: str) -> set[str]:
    (found,) = [one for one in LESSONS if one.id == lesson]
    return set(re.findall(r"^#+ (.+)$", text(read(found)), re.MULTILINE))


def _places() -> list[tuple[str, str]]:
    statements = [
        (lesson["lesson"], section)
        for _, statement in STATEMENTS.values()
        for lesson in statement["lessons"]
        for section in lesson["sections"]
    ]
    return statements + [(entry["lesson"], entry["section"]) for _, entry in ENTRIES]


def test_each_lesson_and_each_section_is_there() -> None:
    known = {lesson.id for lesson in LESSONS}
    for lesson, section in _places():
        assert lesson in known, lesson
        assert section in _headings(lesson), f"{lesson} has no section {section!r}"


def test_each_statement_of_the_notes_is_there_once() -> None:
    said = [statement["notes"] for _, statement in STATEMENTS.values()]
    assert len(said) == len(NOTES) == len({*said})
    for notes, statement in zip(NOTES, said, strict=True):
        assert notes.lower() in re.sub(r'"', "", statement).lower(), (notes, statement)


def test_where_the_notes_are_out_of_date_it_says_what_is_true_today() -> None:
    for statement, today in OUT_OF_DATE.items():
        assert today.lower() in STATEMENTS[statement][1]["today"].lower(), statement


def test_each_file_of_questions_is_a_domains() -> None:
    files = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))["domain"] for path in FOLDER.iterdir()}
    assert files == {domain.id: domain.id for domain in domains()}


def test_there_are_sixty_questions_of_all_kinds_and_difficulties() -> None:
    assert len(ENTRIES) == len(set(IDS)) == 60
    for domain in domains():
        own = [entry for name, entry in ENTRIES if name == domain.id]
        assert {entry["kind"] for entry in own} == {"single_choice", "multiple_choice", "ordering", "yes_no"}
        levels = Counter(entry["difficulty"] for entry in own)
        assert min(levels.values()) >= 3 and set(levels) == {"easy", "medium", "hard"}, levels


def test_each_question_is_tied_to_a_statement_of_its_domain() -> None:
    for domain, entry in ENTRIES:
        assert STATEMENTS[entry["statement"]][0] == domain, entry["id"]


def test_each_skill_that_the_notes_list_is_asked_about() -> None:
    asked = Counter(entry["statement"] for _, entry in ENTRIES)
    for name, (_, statement) in STATEMENTS.items():
        if statement["notes"].startswith("A skill of the exam"):
            assert asked[name] >= 1 or name == "consume_service", name
    assert asked["bearer_header"] and asked["scoring_uri"], "how a service is consumed is asked in its parts"


def test_the_older_words_are_asked_about() -> None:
    asked = {entry["older_term"] for _, entry in ENTRIES if "older_term" in entry}
    assert asked.issuperset(OLDER_TERMS)
    for _, entry in ENTRIES:
        assert entry.get("older_term", "") in " ".join([entry["question"], *(one["text"] for one in entry["choices"])])


@pytest.mark.parametrize(("domain", "entry"), ENTRIES, ids=IDS)
def test_choices_differ_and_so_do_their_reasons(domain: str, entry: dict[str, Any]) -> None:
    for field in ("text", "why"):
        said = [choice[field].lower() for choice in entry["choices"]]
        assert len(set(said)) == len(said), field
    if entry["kind"] == "ordering":
        places = sorted(choice["place"] for choice in entry["choices"] if "place" in choice)
        assert places == list(range(1, len(places) + 1))
        ordinals = ("First", "Second", "Third", "Fourth", "Fifth")
        for choice in entry["choices"]:
            assert choice["why"].startswith(ordinals[choice["place"] - 1] if "place" in choice else "Not at all")
    if entry["kind"] == "yes_no":
        for choice in entry["choices"]:
            assert choice["why"].startswith("Yes. " if choice.get("right") else "No. ")


def _single() -> list[Question]:
    return [one for domain in domains() for one in questions_of(domain) if one.kind == "single_choice"]


def test_the_place_of_the_right_choice_says_nothing() -> None:
    """In the files, which the book shows as they are; a paper shuffles them, which test_exam.py counts."""
    keys = Counter(question.key for question in _single())
    assert set(keys) == set("abcd")
    assert max(keys.values()) <= 0.35 * sum(keys.values()), keys


def test_the_length_of_the_right_choice_says_nothing() -> None:
    """Whoever takes the longest choice, or the shortest, is right as often as whoever guesses."""
    lengths = [([len(c.text) for c in q.choices], len(q.choices["abcd".index(q.key)].text)) for q in _single()]
    longest = sum(right == max(all_) for all_, right in lengths) / len(lengths)
    shortest = sum(right == min(all_) for all_, right in lengths) / len(lengths)
    assert 0.1 <= longest <= 0.4 and 0.1 <= shortest <= 0.4, (longest, shortest)
    ratio = sum(right / (sum(all_) / len(all_)) for all_, right in lengths) / len(lengths)
    assert 0.9 <= ratio <= 1.1, ratio
    for all_, right in lengths:
        assert right <= 1.35 * sorted(all_)[-2], "none stands out"


def test_yes_is_true_as_often_as_no() -> None:
    answers = Counter(bool(c.get("right")) for _, e in ENTRIES if e["kind"] == "yes_no" for c in e["choices"])
    assert 0.35 <= answers[True] / answers.total() <= 0.65, answers


def _alike(one: str, other: str) -> bool:
    """Whether two questions have half of their words in common."""
    words, others = (set(re.findall(r"\w+", question.lower())) for question in (one, other))
    return len(words & others) > 0.5 * len(words | others)


def test_no_question_repeats_a_quiz_or_another_question() -> None:
    quizzes = [one["question"] for lesson in LESSONS for one in read_document(outline.find(lesson.id).quiz, "quiz")]
    asked = [entry["question"] for _, entry in ENTRIES]
    for number, question in enumerate(asked):
        assert not [other for other in quizzes + asked[:number] if _alike(question, other)], question


def test_links_of_explanations_lead_to_notebooks() -> None:
    from helpers.exam import explanation_html

    for question in draw(1, 60).questions:
        (link,) = re.findall(r'href="(\.\./[^"]+)"', explanation_html(question))
        assert (FOLDER.parent / link.partition("#")[0]).is_file(), link


@pytest.mark.parametrize(
    ("kind", "fault", "said"),
    [
        ("single_choice", lambda q: q["choices"][0].pop("why"), "lacks why: a text that says why"),
        ("single_choice", lambda q: [c.update(right=True) for c in q["choices"]], 'exactly one says "right"'),
        ("single_choice", lambda q: [c.pop("right", None) for c in q["choices"]], 'exactly one says "right"'),
        ("single_choice", lambda q: q["choices"].pop(), "four choices, of which"),
        ("single_choice", lambda q: q["choices"][0].update(place=1), "choices without a place"),
        ("multiple_choice", lambda q: [c.pop("right", None) for c in q["choices"]], "two or three say"),
        ("ordering", lambda q: [c.pop("place", None) for c in q["choices"]], "at least three have a place"),
        ("yes_no", lambda q: [c.update(right=True) for c in q["choices"]], "one or two say"),
        ("yes_no", lambda q: q.update(kind="essay"), "one of single_choice, multiple_choice, ordering, yes_no"),
        ("yes_no", lambda q: q.update(source={"page": "A page"}), "lacks url: its address"),
    ],
)
def test_a_question_that_is_not_right_is_refused(tmp_path: Path, kind: str, fault: Any, said: str) -> None:
    document = yaml.safe_load((FOLDER / "compute.yml").read_text(encoding="utf-8"))
    fault(next(question for question in document["questions"] if question["kind"] == kind))
    file = tmp_path / "compute.yml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(said)):
        read_document(file, "exam")


def test_the_domains_are_those_of_the_map() -> None:
    assert domains() == [Domain(domain["id"], domain["title"]) for domain in KNOWN["domains"]]
