"""Pages of resources, found in the store: in every order, from any place, and no more than asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from azureml_local.arm import listing
from azureml_local.arm.request import ArmRequest
from azureml_local.http.errors import AzureError
from azureml_local.store import Condition, Order, Store

PARENT = "/subscriptions/s/workspaces/w"
COUNT = 25


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "state.db")
    for number in range(COUNT):
        body = {"properties": {"tags": {"n": str(number % 3), "all": "x"}, "isArchived": number % 5 == 0}}
        store.put(f"{PARENT}/things/{chr(97 + (number * 7) % 26)}", "things", PARENT, body, "me")
    yield store
    store.close()


def ask(store: Store, order: Order = listing.OLDEST_FIRST, **query: str) -> ArmRequest:
    context: Any = SimpleNamespace(store=store)
    names = {name.lower().replace("_", "$"): value for name, value in query.items()}
    return ArmRequest(context, "/list", "/list", {}, {"api-version": "2024-10-01", **names}, {}, None)  # type: ignore[arg-type]


def pages(store: Store, order: Order, size: int, conditions: list[Condition]) -> list[list[str]]:
    found, token = [], None
    while True:
        request = ask(store, **({"_skip": token} if token else {}))
        answer = json.loads(listing.page(request, "things", PARENT, conditions, order, size=size).body)
        found.append([one["name"] for one in answer["value"]])
        if "nextLink" not in answer:
            return found
        token = answer["nextLink"].partition("$skip=")[2].replace("%3D", "=")


@pytest.mark.parametrize(
    "order", [Order(column, down) for column in ("sequence", "modified_at", "key") for down in (False, True)]
)
@pytest.mark.parametrize("size", [1, 7, COUNT, COUNT + 1])
def test_pages_hold_each_once_in_order(store: Store, order: Order, size: int) -> None:
    everything = [one.name for one in store.select("things", PARENT, order=order)]
    assert sorted(everything) == sorted(one.name for one in store.children("things", PARENT))
    values = [getattr(one, order.column) for one in store.select("things", PARENT, order=order)]
    assert values == sorted(values, reverse=order.descending)
    found = pages(store, order, size, [])
    assert [name for page in found for name in page] == everything
    assert all(len(page) == size for page in found[:-1])
    assert found[-1], "no empty page at the end"


def test_conditions_hold_for_every_page(store: Store) -> None:
    active = listing.in_view(ask(store))
    tagged = listing.with_pairs(ask(store, tags="n=1,all"), "tags", "$.properties.tags")
    expected = [
        one.name
        for one in store.children("things", PARENT)
        if one.properties["tags"]["n"] == "1" and not one.properties["isArchived"]
    ]
    assert [name for page in pages(store, listing.OLDEST_FIRST, 2, [*active, *tagged]) for name in page] == expected
    assert listing.with_pairs(ask(store, tags="none"), "tags", "$.properties.tags") != []
    assert pages(
        store, listing.OLDEST_FIRST, 2, listing.with_pairs(ask(store, tags="none"), "tags", "$.properties.tags")
    ) == [[]]


def test_values_of_a_request_are_no_sql(store: Store) -> None:
    nasty = "x') OR 1=1 --"
    for conditions in (
        listing.with_pairs(ask(store, tags=nasty), "tags", "$.properties.tags"),
        listing.with_value(ask(store, stage=nasty), "stage", "$.properties.stage"),
        [listing.with_ids([nasty])],
    ):
        assert store.select("things", PARENT, conditions) == []


@pytest.mark.parametrize(
    "token",
    ["", "x", "é", "bnVsbA==", "WzEsMl0=", "WzEsMiwtMV0=", "W251bGwsMSwxXQ==", "WzEsInQiLDFd", "WyJcdWQ4MDAiLDEsMV0=",
     "WzEsOTk5OTk5OTk5OTk5OTk5OTk5OTk5LDFd", "W3RydWUsMSwxXQ=="],
)  # fmt: skip
def test_token_that_no_link_has_is_refused(store: Store, token: str) -> None:
    with pytest.raises(AzureError, match="a token of a nextLink"):
        listing.page(ask(store, _skip=token), "things", PARENT)


def test_page_reads_no_more_than_it_gives(store: Store) -> None:
    """The plan of the query that lists 10,000 jobs: by the index, and without sorting."""
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    store.select("things", PARENT, listing.in_view(ask(store)), listing.NEWEST_FIRST, (9, 9), limit=3)
    store._db.set_trace_callback(None)
    (statement,) = statements
    plan = " ".join(row[3] for row in store._db.execute(f"EXPLAIN QUERY PLAN {statement}"))
    assert "USING INDEX resources_by_parent" in plan
    assert "TEMP B-TREE" not in plan
