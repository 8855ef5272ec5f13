"""YAML of others: what yaml.safe_load lets through, and should not. https://en.wikipedia.org/wiki/Billion_laughs_attack."""

from __future__ import annotations

import pytest
import yaml

from azureml_local import safe_yaml

LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "more than 100000 nodes"),
        ("a: &a [*a]", "more than 100000 nodes"),
        ("[" * 5000, "nested too deeply"),
        ("a: [", "expected the node content"),
        ("!!python/object/apply:os.system [true]", "could not determine a constructor"),
    ],
)
def test_what_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(yaml.YAMLError, match=message):
        safe_yaml.load(text)


def test_aliases_may_be_used() -> None:
    assert safe_yaml.load("a: &a [1, {b: c}]\nd: *a") == {"a": [1, {"b": "c"}], "d": [1, {"b": "c"}]}
