"""How lessons, tests, or learners that work side by side share the processors and the memory."""

from azureml_local.engines.process import SHARING

# Variables that NumPy, PyTorch and scikit-learn read as they are imported. OpenBLAS's threads, too, wait by computing
# nothing: a logistic regression of 0.3 s took 17 s of two busy processors.
PROCESSORS = {**SHARING, "OPENBLAS_NUM_THREADS": "1"}
# glibc and pandas' strings (Arrow) give memory back that nothing holds any more: a kernel that had trained a model on a
# year of flights kept 100 MB of it. mallopt(3), https://arrow.apache.org/docs/cpp/env_vars.html.
MEMORY = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(2**20),
    "MALLOC_TRIM_THRESHOLD_": str(2**20),
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
SIDE_BY_SIDE = {**PROCESSORS, **MEMORY}
