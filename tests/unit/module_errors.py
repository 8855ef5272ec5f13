"""What the tests of the Designer's components share: an error that must be raised."""

from __future__ import annotations

import re

import pytest
from designer_modules import ModuleError


def refused(code: int, text: str = "", **where: object) -> pytest.RaisesExc[ModuleError]:
    """Expect an error.

    Args:
        code: Microsoft's number: https://learn.microsoft.com/azure/machine-learning/component-reference/
            designer-error-codes
        text: what its message says.
        where: the column, row and port that it names.
    """

    def fits(error: ModuleError) -> bool:
        return error.code == code and all(getattr(error, kind) == place for kind, place in where.items())

    return pytest.raises(ModuleError, match=re.escape(text) or None, check=fits)
