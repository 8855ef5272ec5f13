"""``python -m azureml_local`` is the command ``azureml-local``."""

from azureml_local.cli import main

raise SystemExit(main())
