"""Lists: which resources are in view, in which order, and how they are divided into pages.

What each list can be asked is in Azure's OpenAPI (specification/machinelearningservices, stable/2025-12-01). Its words
for ``$skip`` are "Continuation token for pagination": clients get one in ``nextLink`` and send it back.
"""

from __future__ import annotations

import base64
import json
import operator
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm.request import ArmRequest
from azureml_local.arm.store import Resource
from azureml_local.http.errors import AzureError

PAGE_SIZE = 100
MOST = 10**9

Order = Callable[[Resource], str]
CREATED: Order = operator.attrgetter("created_at")
MODIFIED: Order = operator.attrgetter("modified_at")
NAME: Order = operator.attrgetter("name")

VIEWS: Mapping[str, Callable[[Resource], bool]] = {
    "ActiveOnly": lambda resource: not resource.properties.get("isArchived"),
    "ArchivedOnly": lambda resource: bool(resource.properties.get("isArchived")),
    "All": lambda _: True,
}
# What $orderBy takes for the versions of assets and for deployments. The OpenAPI documents the two properties, for
# data only; azure-ai-ml sends "createdtime desc" for each kind (constants/_common.py, OrderString).
ORDERS: Mapping[str, tuple[Order, bool]] = {
    f"{name}{direction}": (order, direction == " desc")
    for name, order in (("createdtime", CREATED), ("modifiedtime", MODIFIED))
    for direction in ("", " asc", " desc")
}
OLDEST_FIRST = (CREATED, False)


def in_view(request: ArmRequest, resources: list[Resource]) -> list[Resource]:
    """Return the resources that ``listViewType`` asks for; by default those that are not archived."""
    view = choice(request, "listViewType", VIEWS, VIEWS["ActiveOnly"])
    return [resource for resource in resources if view(resource)]


def with_pairs(
    request: ArmRequest, resources: list[Resource], parameter: str, pairs_of: Callable[[Resource], Any]
) -> list[Resource]:
    """Return the resources that have all of a parameter's pairs: ``name`` or ``name=value``, separated by commas.

    Args:
        request: the list's request.
        resources: what is listed.
        parameter: e.g. ``tags``.
        pairs_of: returns a resource's own pairs.
    """
    asked = [pair.partition("=") for pair in request.query.get(parameter.lower(), "").split(",") if pair]

    def has_all(resource: Resource) -> bool:
        own = pairs_of(resource) or {}
        return all(name in own and (not equals or own[name] == value) for name, equals, value in asked)

    return [resource for resource in resources if has_all(resource)]


def choice(request: ArmRequest, parameter: str, choices: Mapping[str, Any], default: Any) -> Any:
    """Return what a query parameter chooses, in any case; 400 where it is none of ``choices``."""
    asked = request.query.get(parameter.lower())
    if asked is None:
        return default
    for name, chosen in choices.items():
        if name.lower() == asked.lower():
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
    resources: list[Resource],
    order: tuple[Order, bool] = OLDEST_FIRST,
    *,
    size: int = PAGE_SIZE,
    most: int = MOST,
    offset: int = 0,
) -> Response:
    """Return one page, with ``nextLink`` where more follow.

    Args:
        request: the list's request; its ``$skip`` says after which resource the page begins.
        resources: all of them, in order of creation.
        order: by what they are ordered, and whether descending.
        size: how many a page holds.
        most: how many are wanted in all.
        offset: how many of the first are left out.
    """
    key, descending = order
    in_turn = resources[::-1] if descending else resources
    # The store's order of creation is surer than time stamps: clocks are set back.
    ordered = (in_turn if key is CREATED else sorted(in_turn, key=key, reverse=descending))[offset:]
    start, given = _after(request, ordered, key, descending)
    wanted = min(len(ordered) - start, most - given)
    shown = ordered[start : start + min(size, max(wanted, 0))]
    answer: dict[str, Any] = {"value": [resource.to_json() for resource in shown]}
    if len(shown) < wanted:
        token = json.dumps([key(shown[-1]), shown[-1].key, given + len(shown)])
        answer["nextLink"] = request.url({"$skip": base64.urlsafe_b64encode(token.encode()).decode()})
    return JSONResponse(answer)


def ordered_page(request: ArmRequest, resources: list[Resource]) -> Response:
    """Return one page in the order of ``$orderBy``, of ``$top`` resources at most, after the first ``offset``."""
    order = choice(request, "$orderBy", ORDERS, OLDEST_FIRST)
    offset = whole_number(request, "offset", 0)
    return page(request, resources, order, most=whole_number(request, "$top", MOST, least=1), offset=offset)


def count(request: ArmRequest, default: int = PAGE_SIZE) -> int:
    """Return how many resources a page is to hold (``count``)."""
    return min(whole_number(request, "count", default, least=1), PAGE_SIZE)


def _after(request: ArmRequest, ordered: list[Resource], key: Order, descending: bool) -> tuple[int, int]:
    """Return where the page begins and how many went before it.

    The token names the last resource that was given: what is created or deleted between two pages neither hides nor
    repeats another. Where the last one is gone itself, the page begins with what would have followed it.
    """
    token = request.query.get("$skip")
    if token is None:
        return 0, 0
    try:
        value, last, given = json.loads(base64.urlsafe_b64decode(token.encode("ascii")))
        at = next((at for at, one in enumerate(ordered) if one.key == last), None)
        if at is not None:
            return at + 1, int(given)
        follows = operator.lt if descending else operator.gt
        return next((at for at, one in enumerate(ordered) if follows(key(one), value)), len(ordered)), int(given)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _bad("$skip", token, "a token of a nextLink") from error


def _bad(parameter: str, value: str, wanted: str) -> AzureError:
    message = f"The query parameter {parameter} is '{value}'; it must be {wanted}."
    return AzureError(400, "BadArgument", message, target=parameter)
