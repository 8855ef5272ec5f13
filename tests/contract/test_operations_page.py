"""docs/operations.md is what the routes say, and what it calls lacking answers 501."""

from __future__ import annotations

import re

import pytest
from azure_operations import AzureOperation
from write_operations import TARGET, answer_of, lacking, text


def test_page_is_what_the_routes_say() -> None:
    assert TARGET.read_text(encoding="utf-8") == text(), "run python tests/contract/write_operations.py"


def test_every_operation_says_what_it_does() -> None:
    rows = re.findall(r"^\| ([A-Z]+|any) \| `([^`]+)` \| (.*?) \|", TARGET.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 250
    assert [row for row in rows if not row[2].endswith((".", ":", ")"))] == []


@pytest.mark.parametrize("operation", lacking(), ids=lambda operation: operation.id)
def test_what_is_lacking_answers_501(operation: AzureOperation) -> None:
    """Azure knows these: 404 would say that it does not, and 405 that the path has other methods only."""
    assert answer_of(operation) == 501
