"""Count the departures of one airport, by one column of the plan."""

import argparse
from pathlib import Path

import pandas as pd

parser = argparse.ArgumentParser()
parser.add_argument("--plan", type=Path, required=True)
parser.add_argument("--airport", required=True)
parser.add_argument("--by", required=True)
arguments = parser.parse_args()

plan = pd.read_csv(arguments.plan)
flights = plan[plan["origin"] == arguments.airport]
if flights.empty:
    raise ValueError(f"The plan has no flight from {arguments.airport}.")
counts = flights[arguments.by].value_counts()
most = f"most of them: {arguments.by} {counts.index[0]}"
print(f"{arguments.airport}: {len(flights)} flights, {most}")
