"""Entry script of a ParallelRunStep, as it was written for version 1 of the SDK."""

import argparse
from pathlib import Path

import joblib
import pandas as pd

FEATURES = ["weekday", "hour", "sched_arr_time", "carrier", "origin", "dest", "distance"]
SHOWN = ["date", "carrier", "flight", "origin", "dest", "hour", "probability"]


def init():
    """Load the model: once in each worker process."""
    global model
    parser = argparse.ArgumentParser(allow_abbrev=False, description="ParallelRunStep agent")
    parser.add_argument("--model", type=str, required=True)
    # Azure ML adds arguments of its own, so those that are not known are passed over.
    args, _ = parser.parse_known_args()
    model = joblib.load(next(Path(args.model).rglob("*.joblib")))


def run(mini_batch):
    """Return a line of text for each flight; mini_batch is a list of paths of CSV files."""
    print(f"run method start: {__file__}, run({mini_batch})")
    result_list = []
    for path in mini_batch:
        flights = pd.read_csv(path)
        flights["probability"] = model.predict_proba(flights[FEATURES])[:, 1].round(4)
        result_list += flights[SHOWN].to_csv(index=False, header=False).splitlines()
    return result_list
