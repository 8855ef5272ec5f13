"""The exercises of *Grow beyond one machine*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpers.verdicts import CheckResult, exercise, right, wrong

# Pieces, seconds, nodes, cores, seconds around, and what it takes.
JOBS = (
    (24, 2.0, 1, 2, 5.0, 53.0),
    (24, 2.0, 2, 2, 5.0, 29.0),
    (24, 2.0, 4, 2, 5.0, 29.0),
    (3, 10.0, 2, 8, 0.0, 20.0),
    (7, 3.0, 4, 8, 6.0, 12.0),
    (1, 60.0, 2, 4, 7.0, 67.0),
)


@exercise("grow_beyond_one_machine/finish", "Write a function of five numbers that returns seconds.")
def finish(answer: Any) -> CheckResult:
    """Accept a function that knows whole pieces, no more at once than there are cores, and what is around."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for pieces, seconds, nodes, cores, around, expected in JOBS:
        found = float(answer(pieces, seconds, nodes, cores, around))
        if abs(found - expected) < 0.001:
            continue
        asked = f"{pieces} pieces of {seconds:g} s on {nodes} nodes, {cores} cores and {around:g} s around them"
        if nodes > cores:
            return wrong(f"{asked}: {found:g} s. How many pieces can be at work at once on {cores} cores?")
        if abs(found - (expected - around)) < 0.001 and around:
            return wrong(f"{asked}: {found:g} s, which leaves out what is around the work.")
        if pieces % nodes and abs(found - (pieces * seconds / nodes + around)) < 0.001:
            return wrong(f"{asked}: {found:g} s. A piece is not divided: the last round takes as long as the others.")
        return wrong(f"{asked} take {expected:g} s; yours says {found:g}.")
    return right("24 pieces of 2 s take 53 s on one node and 29 s on two; four nodes on two cores bring nothing more.")


FILES = ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"]
ROWS = [("d.txt", 4), ("a.txt", 1), ("b.txt", 2), ("d.txt", 4), ("x.txt", 9), ("x.txt", 9), ("b.txt", 2), ("b.txt", 2)]
EXPECTED = {"missing": ["c.txt", "e.txt"], "double": ["b.txt", "d.txt"]}
CLEAN = [(name, 1) for name in FILES]


@exercise("grow_beyond_one_machine/trouble", "Write a function of names and rows that returns a dictionary.")
def trouble(answer: Any) -> CheckResult:
    """Accept a function that names each file without a row, and each with more than one, once."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    found = answer(list(FILES), list(ROWS))
    if not isinstance(found, Mapping) or set(found) != set(EXPECTED):
        return wrong(f'a dictionary with the keys "missing" and "double" is wanted; yours returns {found!r}.')
    if "x.txt" in found["double"]:
        return wrong("x.txt is in no list of files, and yours complains of it.")
    for key, expected in EXPECTED.items():
        if sorted(set(found[key])) != expected:
            return wrong(f'"{key}": of these five files {expected} are meant; yours says {list(found[key])}.')
        if list(found[key]) != expected:
            return wrong(f'"{key}": each name once, sorted, is wanted; yours says {list(found[key])}.')
    clean = answer(list(FILES), list(CLEAN))
    if any(list(clean[key]) for key in EXPECTED):
        return wrong(f"where each file has one row there is no trouble; yours says {dict(clean)}.")
    return right("two files were missing and two there twice: none of the two can be seen in the number of rows.")


RIGHTS: Mapping[str, tuple[bool, str]] = {
    "key": (False, "it gets signatures, each for one container of its job."),
    "proxy": (False, "there the edge answers for the hosts that it serves, and refuses every other by name."),
    "token": (False, "TLS and tokens are asked for there as everywhere; without them every answer is a refusal."),
    "scheduler": (True, "a scheduler runs what it is given. Its certificate is all that keeps strangers out."),
    "ends": (False, "they are their operator's: used, given back, never started and never ended."),
    "twice": (False, "its attempt is over: the service does not take anything from it any more."),
}


@exercise("grow_beyond_one_machine/rights", "Assign a dictionary with the six keys; each value is True or False.")
def rights(answer: Any) -> CheckResult:
    """Accept the six truths."""
    if not isinstance(answer, Mapping):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    if missing := [key for key in RIGHTS if not isinstance(answer.get(key), bool)]:
        return wrong(f"True or False is wanted for each key; missing: {', '.join(missing)}.")
    for key, (expected, why) in RIGHTS.items():
        if answer[key] is not expected:
            return wrong(f'"{key}": {why}')
    return right("so guard the scheduler's key; everything else is refused to who has no token.")
