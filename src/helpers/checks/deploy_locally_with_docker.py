"""The exercises of *Deploy locally with Docker*."""

from __future__ import annotations

from typing import Any

import requests

from helpers.verdicts import CheckResult, exercise, right, wrong

SPECIES = {"setosa", "versicolor", "virginica"}
FLOWERS = 3
FOUND, NOT_FOUND = {"a", "d", "f"}, {"b", "c", "e"}
WHY_NOT = {
    "b": "there are no traffic rules here, and one deployment below an endpoint",
    "c": "no caller is asked for a key here",
    "e": "nobody probes a container here, and nobody restarts it",
}


def _published(number: int) -> list[dict[str, str]]:
    return [{"HostIp": "0.0.0.0", "HostPort": str(number)}]  # noqa: S104 - as Docker tells it


# What docker-py's container.ports is, the port inside, and the port of the machine.
PORTS: tuple[tuple[dict[str, list[dict[str, str]] | None], int, int | None], ...] = (
    ({"5001/tcp": _published(32768)}, 5001, 32768),
    ({"8883/tcp": None, "5001/tcp": _published(49153), "8888/tcp": _published(49154)}, 8888, 49154),
    ({"15001/tcp": _published(49156), "5001/tcp": _published(5001), "50011/tcp": _published(49155)}, 5001, 5001),
    ({"8883/tcp": None}, 8883, None),
    ({"8883/tcp": None}, 5001, None),
)


@exercise("deploy_locally_with_docker/host_port", "Write a function of container.ports and the port inside.")
def host_port(answer: Any) -> CheckResult:
    """Accept a function that returns the published port, and None where there is none."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for ports, listens_on, expected in PORTS:
        try:
            found = answer(ports, listens_on)
        except Exception as error:
            return wrong(f"for {ports} and {listens_on} it fails: {type(error).__name__}: {error}.")
        if str(found) != str(expected):
            return wrong(f"of {ports} it makes {found!r} for {listens_on}; {expected!r} was published for that.")
    return right("whoever has only the container finds the port so.")


@exercise(
    "deploy_locally_with_docker/with_probability",
    "Change the return of run(), restart the container, ask for the address anew, and score.",
)
def with_probability(answer: Any) -> CheckResult:
    """Accept a response with a species and a probability for each of the three flowers."""
    if not isinstance(answer, requests.Response):
        return wrong(f"the response itself is wanted; this is of type {type(answer).__name__}.")
    if "Authorization" in answer.request.headers:
        return wrong("it was scored with a key. Which key does nobody ask for here?")
    if answer.status_code != 200:
        return wrong(f"the server answered {answer.status_code}. What does its log say?")
    found = answer.json()
    if not isinstance(found, list) or len(found) != FLOWERS:
        return wrong(f"an answer for each of the {FLOWERS} flowers is wanted.")
    if all(one in SPECIES for one in found if isinstance(one, str)) and isinstance(found[0], str):
        return wrong("it answers as before. Has the container been restarted since the script changed?")
    if not all(isinstance(one, dict) and {"species", "probability"} <= set(one) for one in found):
        return wrong('each answer should be {"species": ..., "probability": ...}.')
    if not all(one["species"] in SPECIES for one in found):
        return wrong("a species is one of setosa, versicolor, virginica.")
    if not all(isinstance(one["probability"], int | float) and 1 / 3 <= one["probability"] <= 1 for one in found):
        return wrong("the probability of the likeliest of three species lies between a third and 1: predict_proba.")
    return right("seconds from the change to the answer: that is what deploying locally is for.")


@exercise("deploy_locally_with_docker/found_here", "Make a set of letters, such as {'a', 'b'}.")
def found_here(answer: Any) -> CheckResult:
    """Accept the letters of the mistakes that a local deployment shows."""
    if isinstance(answer, str) or not isinstance(answer, set | list | tuple | frozenset):
        return wrong(f"a set of letters is wanted, this is of type {type(answer).__name__}.")
    letters = {str(letter).strip().lower() for letter in answer}
    if unknown := sorted(letters - FOUND - NOT_FOUND):
        return wrong(f"{unknown[0]!r} is none of the claims.")
    if mistaken := sorted(letters & NOT_FOUND):
        return wrong(f"not {mistaken[0]!r}: {WHY_NOT[mistaken[0]]}.")
    if missing := FOUND - letters:
        return wrong(f"{len(missing)} more: what concerns script, model and packages is the same in a container.")
    return right("script, model and packages are tried here in seconds; what stands in front of them only on Azure.")
