"""Lists: which resources are in view, in which order, and how they are divided into pages.

What each list can be asked is in Azure's OpenAPI (specification/machinelearningservices, stable/2025-12-01). Its words
for ``$skip`` are "Continuation token for pagination": clients get one in ``nextLink`` and send it back. The store finds
a page, and reads no more than that.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm.request import ArmRequest
from azureml_local.http.errors import AzureError
from azureml_local.store import Condition, Order, Resource

PAGE_SIZE = 100
MOST = 10**9

IS_ARCHIVED = "json_extract(body, '$.properties.isArchived')"
NONE = Condition("FALSE")
OLDEST_FIRST = Order()
NEWEST_FIRST = Order(descending=True)
# What $orderBy takes for the versions of assets and for deployments. The OpenAPI documents the two properties, for
# data only; azure-ai-ml sends "createdtime desc" for each kind (constants/_common.py, OrderString).
ORDERS: Mapping[str, Order] = {
    f"{name}{direction}": Order(column, direction == " desc")
    for name, column in (("createdtime", "sequence"), ("modifiedtime", "modified_at"))
    for direction in ("", " asc", " desc")
}


def in_view(request: ArmRequest, *, archived: bool = False) -> list[Condition]:
    """Return what ``listViewType`` asks of resources: by default, not to be archived.

    Args:
        request: the list's request.
        archived: all of them are, together with what holds them.
    """
    views = {
        "ActiveOnly": [NONE if archived else Condition(f"{IS_ARCHIVED} IS NOT TRUE")],
        "ArchivedOnly": [] if archived else [Condition(f"{IS_ARCHIVED} IS TRUE")],
        "All": [],
    }
    return choice(request, "listViewType", views, views["ActiveOnly"])  # type: ignore[no-any-return]


def with_pairs(request: ArmRequest, parameter: str, path: str) -> list[Condition]:
    """Return what asks for all of a parameter's pairs: ``name`` or ``name=value``, separated by commas.

    Args:
        request: the list's request.
        parameter: e.g. ``tags``.
        path: where a body has its own pairs, e.g. ``$.properties.tags``.
    """
    asked = [pair.partition("=") for pair in request.query.get(parameter.lower(), "").split(",") if pair]
    return [
        Condition(
            "EXISTS (SELECT 1 FROM json_each(body, ?) AS pair WHERE pair.key = ? AND (? OR pair.value = ?))",
            (path, name, not equals, value),
        )
        for name, equals, value in asked
    ]


def with_value(request: ArmRequest, parameter: str, path: str) -> list[Condition]:
    """Return what asks for a value: the query parameter's, at a path in the body, e.g. ``$.properties.stage``."""
    asked = request.query.get(parameter.lower())
    return [] if asked is None else [Condition("json_extract(body, ?) = ?", (path, asked))]


def with_ids(resource_ids: Sequence[str]) -> Condition:
    """Return what asks for one of some ids."""
    keys = json.dumps([resource_id.lower() for resource_id in resource_ids])
    return Condition("key IN (SELECT value FROM json_each(?))", (keys,))


def choice(request: ArmRequest, parameter: str, choices: Mapping[str, Any], default: Any) -> Any:
    """Return what a query parameter chooses, in any case; 400 where it is none of ``choices``.

    A choice may be written as Python shows a member of an enumeration: for the assets of registries, azure-ai-ml 1.35
    sends ``ListViewType.ACTIVE_ONLY``.
    """
    asked = request.query.get(parameter.lower())
    if asked is None:
        return default
    wanted = asked.rpartition(".")[2].replace("_", "").lower()
    for name, chosen in choices.items():
        if name.lower() == wanted:
            return chosen
    raise _bad(parameter, asked, f"one of {', '.join(choices)}")


def flag(request: ArmRequest, parameter: str) -> bool | None:
    """Return a query parameter that is true or false, or None where it is absent; 400 where it is neither."""
    return choice(request, parameter, {"true": True, "false": False}, None)  # type: ignore[no-any-return]


def whole_number(request: ArmRequest, parameter: str, default: int, *, least: int = 0) -> int:
    """Return a query parameter that is a whole number; 400 where it is none, or below ``least``."""
    text = request.query.get(parameter.lower(), str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST)) and least <= int(text) <= MOST):
        raise _bad(parameter, text, f"a whole number of at least {least}")
    return int(text)


def page(
    request: ArmRequest,
    resource_type: str,
    parent_id: str | None,
    conditions: Sequence[Condition] = (),
    order: Order = OLDEST_FIRST,
    *,
    size: int = PAGE_SIZE,
    most: int = MOST,
    offset: int = 0,
    shown: Callable[[Resource], Resource] = lambda resource: resource,
) -> Response:
    """Return one page, with ``nextLink`` where more follow.

    What is created or deleted between two pages neither hides nor repeats another: a page begins with what follows
    the last resource of the page before it, which need not exist any more.

    Args:
        request: the list's request; its ``$skip`` says after which resource the page begins.
        resource_type: the kind of resources.
        parent_id: what they lie in; None for anywhere.
        conditions: what each must fulfil.
        order: their order.
        size: how many a page holds.
        most: how many are wanted in all.
        offset: how many of the first are left out.
        shown: returns a resource as it is seen.
    """
    after, given = _after(request)
    wanted = max(min(size, most - given), 0)
    found = request.context.store.select(
        resource_type, parent_id, conditions, order, after, 0 if after else offset, wanted + 1
    )
    answer: dict[str, Any] = {"value": [shown(resource).to_json() for resource in found[:wanted]]}
    if len(found) > wanted and most > given + wanted:
        last = found[wanted - 1]
        token = json.dumps([getattr(last, order.column), last.sequence, given + wanted])
        answer["nextLink"] = request.url({"$skip": base64.urlsafe_b64encode(token.encode()).decode()})
    return JSONResponse(answer)


def ordered_page(
    request: ArmRequest,
    resource_type: str,
    parent_id: str | None,
    conditions: Sequence[Condition] = (),
    shown: Callable[[Resource], Resource] = lambda resource: resource,
) -> Response:
    """Return one page in the order of ``$orderBy``, of ``$top`` resources at most, after the first ``offset``."""
    order = choice(request, "$orderBy", ORDERS, OLDEST_FIRST)
    offset = whole_number(request, "offset", 0)
    most = whole_number(request, "$top", MOST, least=1)
    return page(request, resource_type, parent_id, conditions, order, most=most, offset=offset, shown=shown)


def count(request: ArmRequest, default: int = PAGE_SIZE) -> int:
    """Return how many resources a page is to hold (``count``)."""
    return min(whole_number(request, "count", default, least=1), PAGE_SIZE)


def _after(request: ArmRequest) -> tuple[tuple[Any, int] | None, int]:
    """Return what the page comes after, and how many resources went before it."""
    token = request.query.get("$skip")
    if token is None:
        return None, 0
    try:
        value, sequence, given = json.loads(base64.urlsafe_b64decode(token.encode("ascii")))
    except (ValueError, TypeError, RecursionError) as error:
        raise _bad("$skip", token, "a token of a nextLink") from error
    is_text = isinstance(value, str) and value.isascii()
    if not ((is_text or _is_whole(value)) and _is_whole(sequence) and _is_whole(given)):
        raise _bad("$skip", token, "a token of a nextLink")
    return (value, sequence), given


def _is_whole(value: Any) -> bool:
    """Say whether a value of a token is a whole number that the store can compare with."""
    return type(value) is int and 0 <= value < 2**63


def _bad(parameter: str, value: str, wanted: str) -> AzureError:
    message = f"The query parameter {parameter} is '{value}'; it must be {wanted}."
    return AzureError(400, "BadArgument", message, target=parameter)
