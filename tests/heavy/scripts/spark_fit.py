import sys

from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.sql import SparkSession
from sklearn.datasets import load_breast_cancer

spark = SparkSession.builder.getOrCreate()
data = load_breast_cancer(as_frame=True)
frame = spark.createDataFrame(data.frame)
pipeline = Pipeline(
    stages=[
        VectorAssembler(inputCols=list(data.feature_names), outputCol="raw"),
        StandardScaler(inputCol="raw", outputCol="features"),
        LogisticRegression(labelCol="target", maxIter=20),
    ]
)
model = pipeline.fit(frame)
model.write().overwrite().save(sys.argv[1])
predicted = model.transform(frame)
print(f"accuracy {predicted.filter('prediction = target').count() / predicted.count():.3f}")
