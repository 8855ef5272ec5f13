"""Score every open case of every clinic, and write one list for the morning's conference."""

import argparse
from pathlib import Path

import joblib
import pandas as pd

parser = argparse.ArgumentParser()
parser.add_argument("--cases", type=Path, required=True)
parser.add_argument("--model", type=Path, required=True)
parser.add_argument("--report", type=Path, required=True)
arguments = parser.parse_args()

files = sorted(arguments.cases.rglob("*.csv"))
if not files:
    raise ValueError("There is no CSV file among the cases.")
cases = pd.concat(pd.read_csv(file) for file in files)
model = joblib.load(next(arguments.model.rglob("*.joblib")))
benign = model.predict_proba(cases[model.feature_names_in_])[:, 1].round(3)
listed = pd.DataFrame({"case": cases["case"], "benign": benign}).sort_values("benign")
arguments.report.mkdir(parents=True, exist_ok=True)
listed.to_csv(arguments.report / "opinions.csv", index=False)
print(f"scored: {len(listed)} cases of {len(files)} clinics")
