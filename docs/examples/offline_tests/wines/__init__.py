"""Tells three wines apart, as a web service on Azure Machine Learning."""
