"""Answers to the exercises of *Deploy locally with Docker*."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import requests

Ports = Mapping[str, list[dict[str, str]] | None]
SPECIES = ("setosa", "virginica", "versicolor")


def response(body: Any, status: int = 200, **headers: str) -> requests.Response:
    """A local deployment's response, with the request that it answers."""
    made = requests.Response()
    made.status_code = status
    made._content = json.dumps(body).encode()
    made.request = requests.Request("POST", "http://localhost:32768/score", headers).prepare()
    return made


def sure(*probabilities: float, **changed: Any) -> requests.Response:
    """A response with these probabilities."""
    pairs = zip(SPECIES, probabilities, strict=False)
    return response([{"species": name, "probability": value, **changed} for name, value in pairs])


def port_as_text(ports: Ports, listens_on: int) -> str | None:
    published = ports.get(f"{listens_on}/tcp")
    return published[0]["HostPort"] if published else None


def port_by_search(ports: Ports, listens_on: int) -> int | None:
    for inside, published in ports.items():
        if inside.split("/")[0] == str(listens_on) and published:
            return int(published[0]["HostPort"])
    return None


def first_port(ports: Ports, listens_on: int) -> int | None:
    """Whatever is published first."""
    return next((int(one[0]["HostPort"]) for one in ports.values() if one), None)


def contained_port(ports: Ports, listens_on: int) -> int | None:
    """As the SDK does it: 50011 contains 5001, and what is found last wins."""
    found = None
    for inside, published in ports.items():
        if str(listens_on) in inside and published:
            found = int(published[0]["HostPort"])
    return found


def first_contained_port(ports: Ports, listens_on: int) -> int | None:
    """15001 contains 5001, and what is found first wins."""
    found = (published for inside, published in ports.items() if str(listens_on) in inside and published)
    return next((int(one[0]["HostPort"]) for one in found), None)


def port_or_usual(ports: Ports, listens_on: int) -> int:
    """As the SDK does it where none is published."""
    return port_by_search(ports, listens_on) or 5001


RIGHT: dict[str, list[object]] = {
    "deploy_locally_with_docker/host_port": [port_as_text, port_by_search],
    "deploy_locally_with_docker/with_probability": [sure(0.99, 0.5, 1), sure(1.0, 0.34, 0.7, more="text")],
    "deploy_locally_with_docker/found_here": [{"a", "d", "f"}, ["f", "A", " d "], ("a", "d", "f"), frozenset("adf")],
}

WRONG: dict[str, list[tuple[object, str]]] = {
    "deploy_locally_with_docker/host_port": [
        (5001, "a function is wanted"),
        (lambda ports, listens_on: ports[f"{listens_on}/tcp"], "makes [{"),
        (lambda ports, listens_on: int(ports[f"{listens_on}/tcp"][0]["HostPort"]), "it fails: TypeError"),
        (first_port, "49154 was published"),
        (contained_port, "makes 49155 for 5001"),
        (first_contained_port, "makes 49156 for 5001"),
        (port_or_usual, "None was published"),
        (lambda ports, listens_on: listens_on, "makes 5001"),
    ],
    "deploy_locally_with_docker/with_probability": [
        ([{"species": "setosa", "probability": 0.9}] * 3, "the response itself is wanted"),
        (response(["setosa"] * 3), "Has the container been restarted"),
        (response({"message": "failed"}, 500), "answered 500"),
        (sure(0.9, 0.9), "each of the 3 flowers"),
        (response([["setosa", 0.9]] * 3), "each answer should be"),
        (response([{"species": 0, "probability": 0.9}] * 3), "a species is one of"),
        (sure(99.0, 50.0, 98.0), "between a third and 1"),
        (sure(0.01, 0.5, 0.9), "between a third and 1"),
        (response([], Authorization="Bearer key"), "scored with a key"),
    ],
    "deploy_locally_with_docker/found_here": [
        ("adf", "a set of letters is wanted"),
        ({"a", "b", "d", "f"}, "no traffic rules"),
        ({"a", "c"}, "asked for a key"),
        ({"a", "d", "e", "f"}, "nobody probes"),
        ({"a", "d"}, "1 more"),
        ({"x"}, "none of the claims"),
        (set(), "3 more"),
    ],
}
