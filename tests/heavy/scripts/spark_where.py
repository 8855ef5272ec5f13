from pathlib import Path

print(spark.sparkContext.parallelize([1], 1).map(lambda _: str(Path.cwd())).first())  # noqa: F821 - as on Databricks
