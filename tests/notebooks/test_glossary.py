"""The glossary and the lessons' links to it."""

from __future__ import annotations

import re

from lessons import LESSONS, ROOT, read, text

GLOSSARY = (ROOT / "notebooks/glossary.md").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^### (.+)\n\n(.+)$", GLOSSARY, re.MULTILINE))
LINKS = {lesson.id: re.findall(r"\]\(\.\./glossary\.md#([^)]+)\)", text(read(lesson))) for lesson in LESSONS}


def _anchor(term: str) -> str:
    """As GitHub and JupyterLab's exporter make it of a heading of words."""
    return term.lower().replace(" ", "-")


def test_entries_are_sorted() -> None:
    terms = re.findall(r"^### (.+)$", GLOSSARY, re.MULTILINE)
    assert terms == sorted(terms, key=str.lower)
    assert len(set(terms)) == len(terms)
    assert terms == list(ENTRIES), "an entry is one paragraph"


def test_an_entry_is_a_sentence_or_two_and_a_page_of_microsofts() -> None:
    for term, entry in ENTRIES.items():
        words, link = re.fullmatch(r"(.+?) \[Microsoft: .+?\]\((.+?)\)", entry).groups()  # type: ignore[union-attr]
        assert 1 <= len(re.findall(r"[.!?](?: |$)", words)) <= 3, term
        assert re.fullmatch(r"https://learn\.microsoft\.com/(azure|entra)/[\w/-]+(#[\w-]+)?", link), link


def test_lessons_link_terms_that_are_there_and_each_once() -> None:
    known = {_anchor(term) for term in ENTRIES}
    for lesson, links in LINKS.items():
        assert set(links) <= known, lesson
        assert len(set(links)) == len(links), f"{lesson}: only the first use of a term is linked"
        assert links, lesson


def test_each_entry_is_used() -> None:
    assert {_anchor(term) for term in ENTRIES} == {link for links in LINKS.values() for link in links}
