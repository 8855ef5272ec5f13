"""Check the plan, take the days that are wanted, and write one file a day."""

import argparse
from pathlib import Path

import pandas as pd

NAMED_BY = ["date", "carrier", "flight", "origin", "dest"]
COLUMNS = [*NAMED_BY, "weekday", "hour", "sched_arr_time", "distance"]

parser = argparse.ArgumentParser()
parser.add_argument("--plan", type=Path, required=True)
parser.add_argument("--first-day", required=True)
parser.add_argument("--days", type=int, required=True)
parser.add_argument("--flights", type=Path, required=True)
arguments = parser.parse_args()

plan = pd.read_csv(arguments.plan)
missing = [column for column in COLUMNS if column not in plan.columns]
if missing:
    raise ValueError(f"The plan lacks the columns {missing}.")

first = pd.Timestamp(arguments.first_day)
wanted = pd.date_range(first, periods=arguments.days).strftime("%Y-%m-%d")
flights = plan.loc[plan["date"].isin(wanted), COLUMNS].drop_duplicates()
if flights.empty:
    raise ValueError(
        f"The plan has no flight on the {arguments.days} days from {first.date()}."
    )

arguments.flights.mkdir(parents=True, exist_ok=True)
for day, of_day in flights.groupby("date"):
    of_day.to_csv(arguments.flights / f"{day}.csv", index=False)
print(f"prepared: {len(flights)} flights on {flights['date'].nunique()} days")
