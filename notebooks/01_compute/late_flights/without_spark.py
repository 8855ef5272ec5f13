"""The pipeline of with_spark.py in scikit-learn, for any machine with Python.

``without_spark.py FLIGHTS.csv``
"""

import json
import sys

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

flights = pd.read_csv(sys.argv[1])
pipeline = make_pipeline(
    make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["carrier"]),
        (StandardScaler(), ["hour", "distance"]),
    ),
    LogisticRegression(),
)
train, test = flights[flights["day"] <= 20], flights[flights["day"] > 20]
pipeline.fit(train, train["late"])
auc = roc_auc_score(test["late"], pipeline.predict_proba(test)[:, 1])
print(json.dumps({"learned from": len(train), "tested on": len(test), "auc": auc}))
