"""Components of a learner's own: what a kilometre costs, by the kind of car."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from designer_modules import Dataset, ModuleError


@dataclass(frozen=True)
class PriceModel:
    """What a kilometre costs, by the kind of car."""

    rates: dict[str, float]

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rates.json").write_text(json.dumps(self.rates))

    @classmethod
    def load(cls, folder: Path) -> PriceModel:
        return cls(json.loads((folder / "rates.json").read_text()))


def train_prices(dataset: Dataset) -> PriceModel:
    """Learn the mean price of a kilometre for each kind."""
    frame = dataset.frame
    rates = (frame["price"] / frame["km"]).groupby(frame["kind"], observed=True).mean()
    return PriceModel({str(kind): float(rate) for kind, rate in rates.items()})


def score_prices(trained_model: PriceModel, dataset: Dataset, surcharge: float = 0.0) -> Dataset:
    """Say what each ride costs."""
    frame = dataset.frame
    missing = frame["km"].isna()
    if missing.any():
        raise ModuleError(13, "The model needs the distance.", column="km", row=int(missing.to_numpy().argmax()))
    rates = frame["kind"].astype(object).map(trained_model.rates)
    if rates.isna().any():
        raise ModuleError(13, "The model knows no such kind.", column="kind", row=int(rates.isna().to_numpy().argmax()))
    prices = frame["km"] * rates + surcharge
    return dataset.with_frame(frame.assign(**{"Scored Labels": prices.astype(float)}))
