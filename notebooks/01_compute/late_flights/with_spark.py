"""A Spark ML pipeline that learns which flights will be late, on a Databricks cluster.

``with_spark.py FLIGHTS.csv``
"""

import json
import sys

from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
flights = spark.read.csv(sys.argv[1], header=True, inferSchema=True)
pipeline = Pipeline(
    stages=[
        StringIndexer(inputCol="carrier", outputCol="carrier_index", handleInvalid="keep"),
        OneHotEncoder(inputCol="carrier_index", outputCol="carrier_vector"),
        VectorAssembler(
            inputCols=["carrier_vector", "hour", "distance"], outputCol="features"
        ),
        LogisticRegression(labelCol="late"),
    ]
)
train, test = flights.where("day <= 20"), flights.where("day > 20")
scored = pipeline.fit(train).transform(test)
auc = BinaryClassificationEvaluator(labelCol="late").evaluate(scored)
print(json.dumps({"learned from": train.count(), "tested on": test.count(), "auc": auc}))
