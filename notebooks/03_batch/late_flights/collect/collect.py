"""Put the scores in order, say which flights count as late, and sum up."""

import argparse
import json
from pathlib import Path

import pandas as pd

COLUMNS = ["date", "carrier", "flight", "origin", "dest", "hour", "probability"]

parser = argparse.ArgumentParser()
parser.add_argument("--flights", type=Path, required=True)
parser.add_argument("--scores", type=Path, required=True)
parser.add_argument("--departures", type=Path)
parser.add_argument("--threshold", type=float, required=True)
parser.add_argument("--report", type=Path, required=True)
arguments = parser.parse_args()

planned = sum(len(pd.read_csv(file)) for file in arguments.flights.glob("*.csv"))
scores = pd.read_csv(arguments.scores, header=None, names=COLUMNS)
# Nodes write as they finish, so the order is another one each time.
scores = scores.sort_values(["date", "hour", "carrier", "flight", "origin"], ignore_index=True)
scores["late"] = scores["probability"] >= arguments.threshold

arguments.report.mkdir(parents=True, exist_ok=True)
scores.to_csv(arguments.report / "predictions.csv", index=False)
summary = {
    "flights": planned,
    "scored": len(scores),
    "late": int(scores["late"].sum()),
    "late_by_airport": scores.groupby("origin")["late"].sum().to_dict(),
}
(arguments.report / "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")

if arguments.departures:
    departures = pd.read_csv(arguments.departures)
    by_hour = scores.groupby(["origin", "hour"], as_index=False)["late"].sum()
    table = departures.merge(by_hour, how="left").fillna({"late": 0}).astype({"late": int})
    table.to_csv(arguments.report / "late_by_hour.csv", index=False)
late = f"{summary['late']} of them probably late"
print(f"collected: {len(scores)} of {planned} flights scored, {late}")
