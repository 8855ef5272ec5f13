"""The Designer: a library of components, graphs made of them, and what becomes of a graph once it is trained.

What is imported from here is loaded when it is first used, so that ``import designer`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "designer.comparison": ("Changes", "compare"),
    "designer.consuming": ("consumer_code",),
    "designer.declarations": ("Declaration", "Library"),
    "designer.errors": ("GraphError", "Problem"),
    "designer.graph": ("FromInput", "FromNode", "Graph", "GraphInput", "Node"),
    "designer.inference_pipelines": (
        "create_batch_inference_pipeline",
        "create_realtime_inference_pipeline",
    ),
    "designer.loading": ("load_components", "register_components"),
    "designer.packaging": ("Package", "PackageError", "package"),
    "designer.reading": ("graph_of_job", "read_graph"),
    "designer.running": ("run_in_process",),
    "designer.validation": ("problems", "validate"),
    "designer.view.showing": ("show",),
    "designer.view.watching": ("watch",),
    "designer.writing": ("pipeline_component", "pipeline_job", "to_yaml"),
}
_FOUND_IN = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_FOUND_IN)


def __getattr__(name: str) -> Any:
    if name not in _FOUND_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_FOUND_IN[name]), name)


def __dir__() -> list[str]:
    return [*__all__]
