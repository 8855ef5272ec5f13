"""Showing a figure so that people who cannot see it know what it shows."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from IPython.display import Image, display

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show(figure: Figure, alt: str) -> None:
    """Show a matplotlib figure once, as a picture with a text for screen readers.

    Args:
        figure: the figure; it is closed, so that the notebook does not show it a second time.
        alt: one sentence that says what is to be seen.
    """
    import matplotlib.pyplot as plt

    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110, bbox_inches="tight")
    plt.close(figure)
    display(Image(picture.getvalue(), alt=alt))  # type: ignore[no-untyped-call]
