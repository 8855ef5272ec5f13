"""The components of the Designer, as they run: in a job on a node, or in the process of a web service."""

from .dataset import LABEL, Dataset
from .errors import ModuleError

__all__ = ["LABEL", "Dataset", "ModuleError"]
