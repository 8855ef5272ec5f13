"""What a deployment collects, and where to: kept with what its instances are started from."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Collections of these names hold what the router sees, any other what the scoring script hands over.
# https://learn.microsoft.com/azure/machine-learning/how-to-collect-production-data#enable-payload-logging
REQUEST = "request"
RESPONSE = "response"
PAYLOAD = frozenset((REQUEST, RESPONSE))
# The folders of a collection, by the rate at which a new one is begun. They are of UTC.
FOLDERS = {
    "Year": "%Y",
    "Month": "%Y/%m",
    "Day": "%Y/%m/%d",
    "Hour": "%Y/%m/%d/%H",
    "Minute": "%Y/%m/%d/%H/%M",
}


@dataclass(frozen=True)
class Collection:
    """A collection that is enabled: its folder in storage, and which share of the requests it takes (0 to 1)."""

    container: str
    path: str
    sampling_rate: float


@dataclass(frozen=True)
class CollectionSettings:
    """What a deployment collects.

    ``source`` is the deployment's id, ``collections`` are by their names in lower case, ``rolling_rate`` is a key of
    :data:`FOLDERS`, ``capture_headers`` are the request's headers that its event takes along.
    """

    source: str
    collections: Mapping[str, Collection]
    rolling_rate: str
    capture_headers: tuple[str, ...]

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> CollectionSettings:
        """Return what :func:`dataclasses.asdict` made JSON of."""
        collections = {name: Collection(**collection) for name, collection in values["collections"].items()}
        return cls(values["source"], collections, values["rolling_rate"], tuple(values["capture_headers"]))

    @property
    def is_custom(self) -> bool:
        """Whether the scoring script hands anything over."""
        return not PAYLOAD.issuperset(self.collections)

    def client_config(self) -> dict[str, Any]:
        """Return the file that azureml-ai-monitoring reads (its ``config/config.py``); it does the sampling itself."""
        return {
            "collections": {
                name: {"enabled": True, "sampleRatePercentage": 100 * collection.sampling_rate}
                for name, collection in self.collections.items()
            }
        }

    def folder(self, now: datetime.datetime) -> str:
        """Return the folder, below a collection's, that events of this moment belong to."""
        return now.strftime(FOLDERS[self.rolling_rate])
