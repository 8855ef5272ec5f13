"""Collects what deployments are asked and what they answer, as JSON lines in storage, for whoever watches the model.

https://learn.microsoft.com/azure/machine-learning/how-to-collect-production-data
"""
