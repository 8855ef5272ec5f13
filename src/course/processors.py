"""How lessons, or tests, that run side by side share the processors."""

from azureml_local.engines.process import SHARING

# Variables that NumPy, PyTorch and scikit-learn read as they are imported. OpenBLAS's threads, too, wait by computing
# nothing: a logistic regression of 0.3 s took 17 s of two busy processors.
SIDE_BY_SIDE = {**SHARING, "OPENBLAS_NUM_THREADS": "1"}
