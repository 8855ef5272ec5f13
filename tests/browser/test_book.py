"""The book, built as ``make book`` does, as readers have it: at a desk, on a phone, in the dark, by keyboard alone.

All its files are looked at here, and some pages in Chromium; tests/heavy has a look at each of them there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import nbformat
import pytest
import yaml
from playwright.sync_api import Browser, expect

import book_site
from course import exercises
from course.book.lessons import quiz_of
from course.catalogue import Lesson, find

NOTEBOOKS = Path("notebooks")
LESSON = "00_start/01_score_your_first_model.html"
# One of each kind: the first, a lesson, lists of terms and statements, questions, a program, a folder, the search.
LOOKED_AT = (
    "index.html",
    LESSON,
    "how_to_run.html",
    "exam_designer.html",
    "02_realtime/clients/consume.py.html",
    "02_realtime/clinic.html",
    "search.html",
)


@pytest.fixture(scope="module")
def book() -> Path:
    return book_site.build()


@pytest.fixture(scope="module")
def reader(browser: Browser, book: Path) -> Iterator[book_site.Reader]:
    with book_site.served(book) as address:
        somebody = book_site.Reader(browser, address)
        yield somebody
        somebody.close()


class Parsed(HTMLParser):
    """What a page refers to, the names that can be referred to in it, and its pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.names: set[str] = set()
        self.pictures: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.names |= {name for name in (given.get("id"), given.get("name")) if name}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        if tag == "img":
            self.pictures.append(given)
        source = given.get("src") or (given.get("href") if tag == "link" else None)
        if source:
            self.loaded.append(source)


@pytest.fixture(scope="module")
def parsed(book: Path) -> dict[str, Parsed]:
    return {name: Parsed((book / name).read_text(encoding="utf-8")) for name in book_site.pages(book)}


@pytest.fixture(scope="module")
def course() -> list[Lesson]:
    return find(NOTEBOOKS)


def page_of(lesson: Lesson) -> str:
    return lesson.path.relative_to(NOTEBOOKS).with_suffix(".html").as_posix()


def test_every_link_and_anchor_leads_somewhere(book: Path, parsed: dict[str, Parsed]) -> None:
    lost = []
    for name, page in parsed.items():
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            path, anchor = urldefrag(link)
            target = (book / name).parent / unquote(path) if path else book / name
            there = target.resolve().relative_to(book.resolve()).as_posix()
            if not target.is_file() or (anchor and there in parsed and unquote(anchor) not in parsed[there].names):
                lost.append(f"{name}: {link}")
    assert lost == []


def test_everything_that_is_loaded_lies_in_the_books_folder(book: Path, parsed: dict[str, Parsed]) -> None:
    for name, page in parsed.items():
        for source in page.loaded:
            path = urldefrag(source)[0].partition("?")[0]
            inside = source.startswith("data:image/") or not path or ((book / name).parent / path).is_file()
            assert inside, f"{name}: {source}"
    for style in book.rglob("*.css"):
        loaded = re.findall(r"(?:url\(|@import )[\"']?(https?:)?//", style.read_text(encoding="utf-8"))
        assert not loaded, style


def test_all_lessons_are_in_the_table_of_contents_in_order(parsed: dict[str, Parsed], course: list[Lesson]) -> None:
    names = [page_of(lesson) for lesson in course]
    ordered = list(dict.fromkeys(link for link in parsed["how_to_run.html"].links if link in names))
    assert ordered == names


def test_minutes_and_price_are_on_each_lessons_page_and_on_the_first(book: Path, course: list[Lesson]) -> None:
    first = (book / "index.html").read_text(encoding="utf-8")
    for lesson in course:
        price = f"{lesson.azure_usd:.2f} USD"
        assert f"{lesson.azure_minutes} min, {price}" in first
        said = f"{lesson.minutes} minutes · on Azure {lesson.azure_minutes} minutes, about {price}"
        assert said in (book / page_of(lesson)).read_text(encoding="utf-8")


def test_every_picture_is_described_as_its_notebook_does(parsed: dict[str, Parsed], course: list[Lesson]) -> None:
    for lesson in course:
        pictures = parsed[page_of(lesson)].pictures
        shown = [" ".join((picture.get("alt") or "").split()) for picture in pictures]
        assert all(shown), lesson.name
        for cell in nbformat.read(lesson.path, as_version=4).cells:
            for output in cell.get("outputs", []):
                for kind, about in output.get("metadata", {}).items():
                    if kind == "image/png":
                        assert about["alt"] in shown


def test_each_output_that_a_lesson_printed_is_there(book: Path, course: list[Lesson]) -> None:
    for lesson in course:
        text = re.sub(r"<[^>]+>", "", (book / page_of(lesson)).read_text(encoding="utf-8"))
        for cell in nbformat.read(lesson.path, as_version=4).cells:
            for output in cell.get("outputs", []):
                for line in output.get("text", "").splitlines():
                    if re.fullmatch(r"[\w .:,]+", line):
                        assert line.strip() in text, f"{lesson.name}: {line}"


def test_solutions_and_answers_are_folded_beneath(book: Path, course: list[Lesson]) -> None:
    for lesson in course:
        text = (book / page_of(lesson)).read_text(encoding="utf-8")
        folds = re.findall(r"<details class=\"sd-[^>]*>", text)
        solved = exercises.read(lesson.solutions) if lesson.solutions.is_file() else {}
        quiz = quiz_of(lesson)
        questions = yaml.safe_load(quiz.read_text(encoding="utf-8")) if quiz.is_file() else []
        assert len(folds) == len(solved) + len(questions), lesson.name
        assert not any(" open" in fold for fold in folds)


@pytest.mark.parametrize("name", LOOKED_AT)
def test_a_page_can_be_read_by_everybody(reader: book_site.Reader, name: str) -> None:
    assert "\n".join(reader.faults(name)) == ""


def test_a_solution_is_opened_by_keyboard_too(reader: book_site.Reader) -> None:
    page = reader.open(LESSON)
    fold = page.locator("details", has=page.get_by_text("Solution", exact=True)).first
    expect(fold.locator("pre")).to_be_hidden()
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(fold.locator("pre")).to_contain_text("def to_request(image):")


def test_tab_reaches_everything_that_can_be_followed_or_pressed(reader: book_site.Reader) -> None:
    page = reader.open("how_to_run.html")
    wanted = page.locator("a[href], button, input, summary, [tabindex='0']").evaluate_all(
        """all => all.filter(one => one.checkVisibility({visibilityProperty: true}) && one.tabIndex >= 0)
            .map(one => { one.dataset.wanted = 1; return one.outerHTML.slice(0, 120); })"""
    )
    for _ in range(2 * len(wanted)):
        page.keyboard.press("Tab")
        page.evaluate("delete document.activeElement.dataset.wanted")
    assert page.locator("[data-wanted]").evaluate_all("all => all.map(one => one.outerHTML.slice(0, 200))") == []


@pytest.mark.parametrize(
    ("word", "page"), [("preempt", "Scale a cluster and survive preemption"), ("quota", "Choose a VM size")]
)
def test_search_finds_a_word(reader: book_site.Reader, word: str, page: str) -> None:
    results = reader.open(f"search.html?q={word}")
    expect(results.locator("#search-results li a", has_text=page).first).to_be_visible()


def test_a_picture_is_moved_within_its_box_on_a_phone(reader: book_site.Reader) -> None:
    page = reader.open(LESSON, "phone")
    sizes = page.locator("a.picture").evaluate_all("all => all.map(one => [one.scrollWidth, one.clientWidth])")
    assert sizes
    for inside, outside in sizes:
        assert inside > outside and outside <= book_site.PHONE["width"]


def test_a_question_of_the_exam_is_found_from_the_statement_that_it_is_about(reader: book_site.Reader) -> None:
    page = reader.open("exam_map.html")
    page.locator(".statement", has_text="NCv2").get_by_role("link", name="1", exact=True).first.click()
    expect(page.locator("#question-1")).to_be_visible()
    expect(page.locator("#question-1 details")).to_contain_text("Answer to question 1")
