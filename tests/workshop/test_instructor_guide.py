"""What the instructor guide says that a learner reads is what the product says."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "instructor-guide.md"
SECTION = "## What goes wrong in a room, and what to say"
READ = re.compile(r"^\| (?:they|you) read \|", re.MULTILINE)
ANYTHING = "\0"  # stands for what an f-string puts in
PYTHONS_OWN = "NameError: name '…' is not defined"
SPEAKS = ("helpers", "workshop", "azureml_local")  # what learners meet, of src/


def _quoted() -> list[str]:
    """The first column of each table of what *they read*, or *you read*."""
    tables = READ.split(GUIDE.read_text(encoding="utf-8").partition(SECTION)[2])[1:]
    cells = [line.split("|")[1] for table in tables for line in table.split("\n\n")[0].splitlines()[2:]]
    return [quoted for cell in cells for quoted in re.findall(r"`([^`]+)`", cell)]


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or ANYTHING for part in node.values)
    return None


@cache
def _said() -> str:
    """Every text that the product's code holds, a line each; white space is one blank."""
    source = ROOT / "src"
    python = [path for folder in SPEAKS for path in (source / folder).rglob("*.py")]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in python]
    texts = [_text(node) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.expr)]
    texts += [
        path.read_text(encoding="utf-8") for kind in ("html", "js") for path in (source / "workshop").rglob(f"*.{kind}")
    ]
    return "\n".join(" ".join(text.split()) for text in texts if text)


def _pattern(quoted: str) -> re.Pattern[str]:
    pieces = [re.escape(" ".join(piece.split())) for piece in quoted.strip("… ").split("…")]
    return re.compile("[^\n]*?".join(pieces))


def test_the_guide_quotes_messages() -> None:
    assert len(_quoted()) >= 20


def test_each_message_is_one_of_the_products() -> None:
    lost = [quoted for quoted in _quoted() if quoted != PYTHONS_OWN and not _pattern(quoted).search(_said())]
    assert lost == []


def test_words_that_nothing_says_are_noticed() -> None:
    assert not _pattern("The … of the learner is on fire").search(_said())
