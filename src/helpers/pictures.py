"""Showing a figure so that people who cannot see it know what it shows; also one that changes."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from IPython.display import DisplayHandle, Image, display

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110
LIVE_SIZE = (8, 3.8)  # inches
REDRAW_SECONDS = 1.0  # at least; and what the picture shows needs the processor as well, so
DRAWING_TIMES = 9  # as long as the last took: a tenth of the time is spent on drawing


def show(figure: Figure, alt: str) -> None:
    """Show a matplotlib figure once, as a picture with a text for screen readers.

    Args:
        figure: the figure; it is closed, so that the notebook does not show it a second time.
        alt: one sentence that says what is to be seen.
    """
    display(_image(figure, alt, bbox_inches="tight"))  # type: ignore[no-untyped-call]


def _image(figure: Figure, alt: str, bbox_inches: str | None = None) -> Image:
    import matplotlib.pyplot as plt

    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=DPI, bbox_inches=bbox_inches)
    plt.close(figure)
    return Image(picture.getvalue(), alt=alt)  # type: ignore[no-untyped-call]


class LivePicture:
    """A picture in a cell's output that is replaced by the next one: once a second at most, less often if it is slow.

    Args:
        alt: one sentence that says what is to be seen in the end.
        rows: of plots, below each other, with one axis of time.
    """

    def __init__(self, alt: str, rows: int = 1) -> None:
        self._alt = alt
        self._rows = rows
        self._handle: DisplayHandle | None = None
        self._due = 0.0

    def show(self, draw: Callable[..., None], *, at_once: bool = False) -> None:
        """Draw it anew, unless that was done only just now.

        Args:
            draw: draws into the axes that it is given, one for each row.
            at_once: draw in any case; for the last one.
        """
        began = time.monotonic()
        if not at_once and began < self._due:
            return
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(self._rows, figsize=LIVE_SIZE, sharex=True, squeeze=False, layout="constrained")
        draw(*axes[:, 0])
        image = _image(figure, self._alt)
        if self._handle is None:
            self._handle = display(image, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(image)  # type: ignore[no-untyped-call]
        ended = time.monotonic()
        self._due = ended + max(REDRAW_SECONDS, DRAWING_TIMES * (ended - began))
