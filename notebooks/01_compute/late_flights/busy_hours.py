"""Says how late flights arrive, by the hour in which they were to leave.

``busy_hours.py FLIGHTS.csv FOLDER``
"""

import os
import sys
from pathlib import Path

import mlflow
import pandas as pd

flights = pd.read_csv(sys.argv[1])
print(f"{os.environ['USER']} has {len(flights)} flights")
hours = flights.groupby("hour")["arr_delay"].agg(["mean", "count"])
hours.to_csv(Path(sys.argv[2]) / "hours.csv")
mlflow.log_metric("flights", len(flights))
