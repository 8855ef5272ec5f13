"""What the service knows of request bodies is what the installed clients know."""

from __future__ import annotations

from write_request_models import ROOTS, TARGET, request_models, text


def test_file_is_what_the_clients_say() -> None:
    assert TARGET.read_text() == text(), "run python tests/contract/write_request_models.py"


def test_every_type_is_described() -> None:
    models = request_models()
    assert set(ROOTS) <= set(models["objects"])
    simple = {"str", "int", "intOrText", "float", "bool", "any", "datetime", "duration", ""}
    named = {kind.strip("!-[]{}") for one in models["objects"].values() for kind in one["members"].values()}
    named |= {subtype for one in models["objects"].values() for subtype in one.get("subtypes", {}).values()}
    assert named <= simple | set(models["objects"]) | set(models["enums"])
