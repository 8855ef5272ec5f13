"""README and docs/ name what is there: files, commands, anchors, and pictures that say what they show."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

from azureml_local import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = [path.relative_to(ROOT).as_posix() for path in (ROOT / "src").rglob("*.py")]
NAMED = re.compile(r"`((?:src|tests|notebooks|docs|environments)/[\w./-]*)`")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _links(page: Path) -> Iterator[tuple[str, str, str]]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from LINK.findall(text)


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_each_path_that_is_named_exists(page: Path) -> None:
    named = NAMED.findall(page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_architecture_names_its_modules() -> None:
    named = NAMED.findall((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert len({path for path in named if path.endswith(".py")}) > 40


def test_each_link_leads_somewhere(page: Path) -> None:
    lost = []
    for _, _, target in _links(page):
        file, _, anchor = target.partition("#")
        there = (page.parent / file) if file else page
        if "://" not in target and (not there.exists() or (anchor and anchor not in _anchors(there))):
            lost.append(target)
    assert lost == []


def test_each_picture_says_what_it_shows(page: Path) -> None:
    assert [target for picture, said, target in _links(page) if picture and len(said) < 40] == []


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").glob("request-*.svg")), ids=lambda path: path.name)
def test_each_way_of_a_request_names_real_modules(picture: Path) -> None:
    root = ElementTree.parse(picture).getroot()
    words = " ".join(text for text in root.itertext())
    named = re.findall(r"[\w/]+\.py", words.replace("score.py", "").replace("train.py", ""))
    assert named
    assert [name for name in named if not any(module.endswith(f"/{name}") for module in MODULES)] == []
    assert [child.tag.partition("}")[2] for child in root][:2] == ["title", "desc"]


def test_the_page_of_the_command_has_every_command_and_no_other() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    known = set(cli.COMMANDS) - {"serve"}  # which start and run call
    named = {word for row in rows for word in re.findall(r"`(?:azureml-local )?([a-z]+)", row)}
    assert known <= named
    commands = {word for row in rows for word in re.findall(r"`azureml-local ([a-z]+)", row)}
    assert commands <= known
