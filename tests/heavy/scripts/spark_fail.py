spark.range(3).select("nothing").show()  # noqa: F821 - there, as on Databricks
