"""Train the classifier: what the job runs."""

import argparse
from pathlib import Path

import joblib
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

parser = argparse.ArgumentParser()
parser.add_argument("--regularization", type=float)
parser.add_argument("--model", type=Path)
arguments = parser.parse_args()

wines = load_wine()
x_train, x_test, y_train, y_test = train_test_split(wines.data, wines.target, stratify=wines.target, random_state=0)
model = make_pipeline(StandardScaler(), LogisticRegression(C=arguments.regularization)).fit(x_train, y_train)
print(f"accuracy {model.score(x_test, y_test):.2f}")
joblib.dump({"model": model, "names": wines.target_names.tolist()}, arguments.model / "wines.joblib")
