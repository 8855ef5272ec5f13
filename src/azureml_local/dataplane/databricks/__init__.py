"""Databricks workspaces for clients: the REST API of ``adb-<number>.<n>.azuredatabricks.net``, a module an API.

https://docs.databricks.com/api/azure/workspace, as databricks-sdk sends it.
"""
