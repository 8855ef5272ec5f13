"""What the entry script of a parallel job is told of the worker process that it runs in.

https://learn.microsoft.com/azure/machine-learning/how-to-debug-parallel-run-step#how-do-i-log-from-my-user-script-from-a-remote-context
"""

import logging
import os
import time
from pathlib import Path

FORMAT = "%(asctime)s|%(name)s|%(levelname)s|%(process)d|%(thread)d|%(funcName)s()|%(message)s"


class EntryScript:
    """The one instance of it, however often it is made."""

    _instance = None
    _place: dict = {}  # noqa: RUF012 - set by the worker process before it loads the entry script

    def __new__(cls, logging_level=None):
        """Return the instance.

        Args:
            logging_level: of its logger, instead of the job's.
        """
        if cls._instance is None:
            cls._instance = super().__new__(cls)
            cls._instance._logger = None
        if logging_level is not None:
            cls._instance.logger.setLevel(logging_level)
        return cls._instance

    @property
    def logger(self):
        """A logger whose file is kept in ``logs/user/entry_script_log/<node>``."""
        if self._logger is None:
            folder = Path(self.log_dir)
            folder.mkdir(parents=True, exist_ok=True)
            handler = logging.FileHandler(folder / f"{self.agent_name}.log.txt", delay=True)
            formatter = logging.Formatter(FORMAT)
            formatter.converter = time.gmtime
            handler.setFormatter(formatter)
            self._logger = logging.getLogger(f"{self._place.get('node', 0)}_{self.agent_name}")
            self._logger.setLevel(self._place.get("logging_level", "INFO"))
            self._logger.propagate = False
            self._logger.addHandler(handler)
        return self._logger

    @property
    def agent_name(self):
        """The name of the worker process, such as ``process000``."""
        return self._place.get("process", "process000")

    @property
    def log_dir(self):
        """The folder for files that are kept with the logs; it may have to be made."""
        return self._place.get("log_dir", "logs")

    @property
    def output_dir(self):
        """The folder of the job's output."""
        folder = os.environ.get("AZUREML_BI_OUTPUT_PATH", ".")
        Path(folder).mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def working_dir(self):
        """The folder with the job's code."""
        return self._place.get("working_dir", ".")

    @property
    def dir(self):
        """The folder with the entry script."""
        return self._place.get("script_dir", ".")
