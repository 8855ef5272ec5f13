"""What batch scoring is measured with: rows in CSV files, images, and a small scikit-learn model for each."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import RandomForestClassifier

FEATURES = 10
TRAINED_ON = 2_000  # rows
ROW_TREES = 400  # of the forest: enough of them that a run takes a minute or so
IMAGE_TREES = 400


@dataclass(frozen=True)
class Work:
    """What is scored: the script, the model's file, the files by their names, and how many are a mini-batch."""

    name: str
    script: str
    model: bytes
    files: Mapping[str, bytes]
    mini_batch_size: int


def rows(count: int, rows_a_file: int, trees: int = ROW_TREES) -> Work:
    """Return ``count`` rows, each file a mini-batch."""
    features, labels = make_classification(TRAINED_ON, FEATURES, random_state=0)
    model = RandomForestClassifier(trees, max_depth=8, random_state=0).fit(features, labels)
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(rows_a_file, FEATURES)).round(4))
    table.columns = [f"feature_{n}" for n in range(FEATURES)]
    files = {
        f"rows-{first // rows_a_file:05}.csv": table.assign(row=range(first, first + rows_a_file))
        .to_csv(index=False)
        .encode()
        for first in range(0, count, rows_a_file)
    }
    return Work(f"{count:,} rows", "score_rows.py", pickle.dumps(model), files, mini_batch_size=1)


def images(count: int, mini_batch_size: int) -> Work:
    """Return ``count`` PNG files of digits, again and again those that scikit-learn brings along."""
    pixels, labels = load_digits(return_X_y=True)
    scale = 255 / pixels.max()
    shown = (pixels * scale).astype(np.uint8)
    model = RandomForestClassifier(IMAGE_TREES, random_state=0).fit(shown.astype(float), labels)
    pngs = [_png(image.reshape(8, 8)) for image in shown]
    files = {f"digit-{number:05}.png": pngs[number % len(pngs)] for number in range(count)}
    return Work(f"{count:,} images", "score_images.py", pickle.dumps(model), files, mini_batch_size)


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
