"""How the parts of a graph look: states, changes and categories, with colours that people tell apart who see fewer.

A mark or a word always says the same as the colour. The categories' colours are Paul Tol's "muted"
(https://personal.sron.nl/~pault/), those of changes from Okabe and Ito (https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

from dataclasses import dataclass

from helpers.pipeline_graph import LOOKS, UNDER_WAY

QUEUED = ("… ", "#fff8dc")
STATES = {**LOOKS, "Queued": QUEUED}
DATA, OUTPUT = "Data and saved assets", "Outputs"  # the categories of what is no component
CATEGORIES = {
    DATA: "#6f6f6f",
    "Data Input and Output": "#88ccee",
    "Data Transformation": "#44aa99",
    "Feature Selection": "#117733",
    "Statistical Functions": "#117733",
    "Classification": "#ddcc77",
    "Regression": "#ddaa33",
    "Clustering": "#aa4499",
    "Model Training": "#cc6677",
    "Model Scoring and Evaluation": "#882255",
    "Python Language": "#999933",
    "Computer Vision": "#332288",
    "Web Service": "#d55e00",
    OUTPUT: "#bbbbbb",
}
OTHER_CATEGORY = "#dddddd"


@dataclass(frozen=True)
class Change:
    """How a part of a graph looks that is this, compared with another graph; ``means`` is for the legend."""

    mark: str
    line: str
    fill: str
    dashes: str
    means: str


CHANGES = {
    "kept": Change("=", "#10243e", "#ffffff", "", "as it was"),
    "replaced": Change("⇄", "#b5578f", "#f7e4ee", "", "by what the training run saved, or by another component"),
    "added": Change("+", "#008764", "#daf1e8", "", "was not there before"),
    "removed": Change("-", "#7a7a7a", "#f4f4f4", "6 4", "is no longer there"),
}


def state(status: str) -> tuple[str, str]:
    """Return the mark and the colour of a step that stands so."""
    return STATES.get(status, UNDER_WAY)


def category(name: str) -> str:
    """Return the colour of a category of the component library, or of the one that it is a part of."""
    return CATEGORIES.get(name.partition("/")[0].replace("&", "and"), OTHER_CATEGORY)
