"""Right and wrong answers to the exercises on growing beyond one machine."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

Rows = Sequence[tuple[str, int]]
RIGHTS = {"key": False, "proxy": False, "token": False, "scheduler": True, "ends": False, "twice": False}


def _finish_in_rounds(pieces: int, seconds: float, nodes: int, cores: int, around: float) -> float:
    left, taken = pieces, 0.0
    while left > 0:
        left -= min(nodes, cores)
        taken += seconds
    return taken + around


def _trouble(files: Sequence[str], rows: Rows) -> dict[str, list[str]]:
    found = Counter(name for name, _ in rows)
    return {
        "missing": sorted(set(files) - set(found)),
        "double": sorted(name for name in files if found[name] > 1),
    }


def _trouble_by_hand(files: list[str], rows: list[tuple[str, int]]) -> dict[str, list[str]]:
    names = [row[0] for row in rows]
    return {
        "double": [name for name in sorted(files) if names.count(name) >= 2],
        "missing": [name for name in sorted(files) if name not in names],
    }


def _trouble_with_strangers(files: Sequence[str], rows: Rows) -> dict[str, list[str]]:
    found = Counter(name for name, _ in rows)
    return {**_trouble(files, rows), "double": sorted(name for name in found if found[name] > 1)}


def _trouble_each_time(files: Sequence[str], rows: Rows) -> dict[str, list[str]]:
    seen: list[str] = []
    double = []
    for name, _ in rows:
        if name in seen and name in files:
            double.append(name)
        seen.append(name)
    return {**_trouble(files, rows), "double": sorted(double)}


RIGHT: dict[str, list[object]] = {
    "grow_beyond_one_machine/finish": [
        lambda pieces, seconds, nodes, cores, around: around + math.ceil(pieces / min(nodes, cores)) * seconds,
        lambda pieces, seconds, nodes, cores, around: -(-pieces // min(nodes, cores)) * seconds + around,
        _finish_in_rounds,
    ],
    "grow_beyond_one_machine/trouble": [_trouble, _trouble_by_hand],
    "grow_beyond_one_machine/rights": [RIGHTS, {**RIGHTS, "more": True}],
}
WRONG: dict[str, list[tuple[object, str]]] = {
    "grow_beyond_one_machine/finish": [
        (lambda pieces, seconds, nodes, cores, around: math.ceil(pieces / nodes) * seconds + around, "on 2 cores?"),
        (lambda pieces, seconds, nodes, cores, around: pieces / min(nodes, cores) * seconds + around, "not divided"),
        (lambda pieces, seconds, nodes, cores, around: math.ceil(pieces / min(nodes, cores)) * seconds, "leaves out"),
        (lambda pieces, seconds, nodes, cores, around: pieces * seconds + around, "take 29 s; yours says 53"),
        (lambda pieces, seconds: pieces * seconds, "TypeError was raised"),
        (53, "a function is wanted"),
    ],
    "grow_beyond_one_machine/trouble": [
        (_trouble_with_strangers, "x.txt is in no list"),
        (_trouble_each_time, "each name once"),
        (lambda files, rows: {**_trouble(files, rows), "missing": []}, '"missing": of these five files'),
        (lambda files, rows: {"missing": 2, "double": 2}, "TypeError was raised"),
        (lambda files, rows: len(files) - len(rows), "a dictionary with the keys"),
        ({"missing": [], "double": []}, "a function is wanted"),
    ],
    "grow_beyond_one_machine/rights": [
        ({**RIGHTS, "key": True}, "each for one container"),
        ({**RIGHTS, "proxy": True}, "refuses every other by name"),
        ({**RIGHTS, "scheduler": False}, "keeps strangers out"),
        ({**RIGHTS, "ends": True}, "never ended"),
        ({"key": False}, "missing: proxy"),
        (list(RIGHTS), "a dictionary is wanted"),
    ],
}
