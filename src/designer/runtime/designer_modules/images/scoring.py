"""Score Image Model: a trained network tells the categories of images."""

from __future__ import annotations

import pandas as pd

from ..dataset import LABEL, Dataset
from ..errors import ModuleError
from ..models import MULTICLASS
from ..scoring import SCORED_BY, SCORED_LABEL, SCORED_LABELS, SCORED_PROBABILITIES, SCORED_PROBABILITY
from .directory import CATEGORY, ID, ImageDirectory
from .model import TrainedNetwork

NO_ROWS = 21


def score_image_model(trained_model: TrainedNetwork, dataset: ImageDirectory) -> Dataset:
    """Tell the category of each image, and how likely each is.

    Columns: id, category where it is known, ``Scored Probabilities_<class>`` and ``Scored Labels``.

    Raises:
        ModuleError: there is no image, or one is not as large as those that the model was validated on.
    """
    if not dataset.images:
        raise ModuleError(NO_ROWS, "There is no image to score.", port="dataset")
    classes = list(trained_model.classes)
    probabilities = trained_model.probabilities(dataset)
    names = [f"{SCORED_PROBABILITIES}_{name}" for name in classes]
    frame = pd.DataFrame({ID: [image.id for image in dataset.images]})
    if dataset.categories:
        frame[CATEGORY] = pd.Categorical([image.category for image in dataset.images])
    frame[names] = probabilities
    frame[SCORED_LABELS] = pd.Categorical([classes[n] for n in probabilities.argmax(axis=1)], categories=classes)
    roles = {CATEGORY: LABEL, SCORED_LABELS: SCORED_LABEL} | dict.fromkeys(names, SCORED_PROBABILITY)
    return Dataset(frame, roles, {SCORED_BY: {"task": MULTICLASS, "label": CATEGORY, "classes": classes}})
