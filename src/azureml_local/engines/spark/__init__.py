"""Apache Spark for the clusters of Databricks workspaces: real Spark, in processes of this machine."""
