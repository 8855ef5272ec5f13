"""The models of Microsoft's own clients, read into one form: what Azure's JSON may and must hold.

Two generations of generated code are read: ``rest_field`` classes (azure-ai-ml) and ``_attribute_map`` classes
(azure-mgmt-machinelearningservices, azure-mgmt-resource as vendored in azure-ai-ml).
"""

from __future__ import annotations

import datetime
import enum
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

# The names of types that are no objects of ours. A list is written [T], a dictionary of text to T {T}.
SIMPLE = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    datetime.datetime: "datetime",
    datetime.timedelta: "duration",
    Any: "any",
}
SIMPLE_NAMES = frozenset(SIMPLE.values())
MSREST = {"iso-8601": "datetime", "long": "int", "object": "any"}


@dataclass(frozen=True)
class Member:
    """A member of an object: its type, whether it must be there, is Azure's alone to set, or never given out."""

    type: str
    required: bool = False
    read_only: bool = False
    write_only: bool = False


@dataclass
class ObjectType:
    """An object: its members by their names on the wire; where ``discriminator`` is set, its value decides the type."""

    members: dict[str, Member]
    discriminator: str | None = None
    subtypes: dict[str, str] = field(default_factory=dict)


@dataclass
class Models:
    """Objects and enumerations by their names."""

    objects: dict[str, ObjectType]
    enums: dict[str, tuple[str, ...]]

    def reachable(self, root: str, *, read_only: bool) -> Iterator[str]:
        """Yield the names of the objects and enumerations that ``root`` is made of, itself first.

        Args:
            read_only: follow also the members that only Azure sets.
        """
        waiting, seen = [root], set()
        while waiting:
            name = waiting.pop()
            if name in seen or name in SIMPLE_NAMES:
                continue
            seen.add(name)
            yield name
            kind = self.objects.get(name)
            if kind:
                waiting += kind.subtypes.values()
                waiting += [item_type(m.type) for m in kind.members.values() if read_only or not m.read_only]


def only(root: str, models: Models, prefix: str = "") -> Models:
    """Return one object with all that it is made of, as far as it can be set, each name after ``prefix``.

    Another service's objects share names with Azure ML's, and are not meant.
    """
    names = [name for name in models.reachable(root, read_only=False) if name in {**models.objects, **models.enums}]

    def renamed(kind: str) -> str:
        inner = item_type(kind)
        return kind.replace(inner, prefix + inner) if inner in names else kind

    objects = {
        prefix + name: replace(
            models.objects[name],
            members={
                key: replace(member, type=renamed(member.type)) for key, member in models.objects[name].members.items()
            },
        )
        for name in names
        if name in models.objects
    }
    return Models(objects, {prefix + name: words for name, words in models.enums.items()})


def item_type(name: str) -> str:
    """Return the type within lists and dictionaries: ``T`` of ``{[T]}``."""
    return name.strip("[]{}")


def of_rest_fields(package: types.ModuleType) -> Models:
    """Read the models of a package whose classes have ``rest_field`` members."""
    module = package._models
    names = {**vars(module), "_models": package}
    classes = [one for one in vars(package).values() if isinstance(one, type) and hasattr(one, "_is_model")]
    models = Models({}, _enums(vars(package)))
    for cls in classes:
        hints = typing.get_type_hints(cls, names)
        members, discriminator = {}, None
        for attribute, declared in _rest_fields(cls).items():
            wire = declared._rest_name_input or attribute
            kind, optional = _hinted(hints[attribute])
            visibility = declared._visibility or ["read", "create", "update"]
            members[wire] = Member(kind, not optional, visibility == ["read"], "read" not in visibility)
            if declared._is_discriminator:
                discriminator = wire
        subtypes = {value: sub.__name__ for value, sub in vars(cls).get("__mapping__", {}).items()}
        models.objects[cls.__name__] = ObjectType(members, discriminator if subtypes else None, subtypes)
    return models


def of_attribute_maps(package: types.ModuleType) -> Models:
    """Read the models of a package whose classes have an ``_attribute_map``; flattened objects are made whole."""
    models = Models({}, _enums(vars(package)))
    classes = [one for one in vars(package).values() if isinstance(one, type) and hasattr(one, "_attribute_map")]
    for cls in classes:
        kind = ObjectType({})
        for discriminator, subtypes in vars(cls).get("_subtype_map", {}).items():
            kind.discriminator = cls._attribute_map[discriminator]["key"]
            kind.subtypes = dict(subtypes)
        models.objects[cls.__name__] = kind
        for attribute, mapped in cls._attribute_map.items():
            rules = getattr(cls, "_validation", {}).get(attribute, {})
            member = Member(_mapped(mapped["type"]), bool(rules.get("required")), bool(rules.get("readonly")))
            _place(models, cls.__name__, mapped["key"], member)
    return models


def _place(models: Models, owner: str, key: str, member: Member) -> None:
    """Put a member where its key says: ``properties.a`` belongs to the owner's object ``properties``."""
    head, dot, rest = key.replace("\\.", "\0").partition(".")
    if not dot:
        models.objects[owner].members[head.replace("\0", ".")] = member
        return
    inner = f"{owner}{head[0].upper()}{head[1:]}"
    models.objects.setdefault(inner, ObjectType({}))
    known = models.objects[owner].members.get(head, Member(inner))
    models.objects[owner].members[head] = Member(inner, required=known.required or member.required)
    _place(models, inner, rest, member)


def _rest_fields(cls: type) -> dict[str, Any]:
    return {
        name: value
        for base in reversed(cls.__mro__)
        for name, value in vars(base).items()
        if type(value).__name__ == "_RestField"
    }


def _hinted(hint: Any) -> tuple[str, bool]:
    """Return the name of an annotation's type, and whether it may be missing."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        kinds = [one for one in arguments if one is not type(None)]
        # Enumerations are written Union[str, TheEnum].
        chosen = next((one for one in kinds if isinstance(one, type) and issubclass(one, enum.Enum)), kinds[-1])
        return _hinted(chosen)[0], len(kinds) < len(arguments)
    if origin is Literal:
        return "str", False
    if origin is list:
        return f"[{_hinted(arguments[0])[0]}]", False
    if origin in (dict, Mapping):
        return f"{{{_hinted(arguments[1])[0]}}}", False
    return SIMPLE.get(hint) or hint.__name__, False


def _mapped(kind: str) -> str:
    inner = item_type(kind)
    return kind.replace(inner, MSREST.get(inner, inner))


def _enums(names: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(member.value for member in value)
        for name, value in names.items()
        if isinstance(value, type) and issubclass(value, enum.Enum)
    }
