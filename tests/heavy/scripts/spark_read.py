import sys
from pathlib import Path

from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession
from sklearn.datasets import load_breast_cancer

spark = SparkSession.builder.getOrCreate()
frame = spark.createDataFrame(load_breast_cancer(as_frame=True).frame)
predicted = PipelineModel.load(sys.argv[1]).transform(frame).select("target", "prediction")
print(f"accuracy {predicted.filter('prediction = target').count() / predicted.count():.3f}")
Path(sys.argv[2]).parent.mkdir(parents=True, exist_ok=True)
predicted.toPandas().to_csv(sys.argv[2], index=False)
