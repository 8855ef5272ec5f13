"""What entry scripts of parallel jobs import on Azure: see :mod:`azureml_user.parallel_run`."""
