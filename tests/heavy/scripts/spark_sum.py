import sys

rows = spark.read.csv(sys.argv[1], header=True, inferSchema=True)  # noqa: F821 - there, as on Databricks
rows.write.mode("overwrite").saveAsTable("numbers")
total = rows.groupBy().sum("n").first()[0]
print(f"sum {total}, {spark.table('numbers').count()} rows in the table")  # noqa: F821
