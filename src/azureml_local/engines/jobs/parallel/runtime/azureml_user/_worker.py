"""One worker process of a parallel job: loads the user's entry script once, then hands it mini-batches.

Runs in the interpreter of the job's environment, which may be an old one: Python 3.8 and its standard library, and
whatever the entry script and its data need. ``python _worker.py NAME SOCKET STDERR``: the process's name, and two file
descriptors that it has inherited.

Messages are JSON and bytes, each after its length. The first may say what can be imported meanwhile. The next says what
is to run; it is answered with ``ready`` or with why it failed. Each after it is a mini-batch: one of rows is answered
with ``loaded`` before ``run`` is called, and each with how that ended. At the end of messages the script's ``shutdown``
is called, where it has one.
"""

import contextlib
import importlib
import importlib.util
import inspect
import json
import logging
import os
import socket
import struct
import sys
import time
import traceback
from pathlib import Path

LENGTHS = struct.Struct(">II")
SECOND_PARAMETER = "mini_batch_context"


class Channel:
    """The connection to the node's supervisor."""

    def __init__(self, descriptor):
        self._file = socket.socket(fileno=descriptor).makefile("rwb")

    def receive(self):
        """Return the next message, None at their end."""
        lengths = self._file.read(LENGTHS.size)
        if len(lengths) < LENGTHS.size:
            return None
        header, _ = LENGTHS.unpack(lengths)
        return json.loads(self._file.read(header))

    def send(self, message, content=b""):
        """Send a message, with bytes or without."""
        header = json.dumps(message).encode()
        self._file.write(LENGTHS.pack(len(header), len(content)))
        self._file.write(header)
        self._file.write(content)
        self._file.flush()


class MiniBatchContext:
    """What ``run`` is told of a mini-batch, where it has a second parameter."""

    def __init__(self, partition_key_value, minibatch_index):
        self.partition_key_value = partition_key_value
        self.minibatch_index = minibatch_index

    @property
    def dataset(self):
        """On Azure a dataset of SDK v1."""
        raise NotImplementedError("azureml-local lacks mini_batch_context.dataset, which is a dataset of SDK v1.")


class ScriptError(Exception):
    """The entry script can never be used, whatever is tried."""


def load(path):
    """Return the entry script as a module."""
    script = Path(path)
    if not script.is_file():
        raise ScriptError(f"The entry script {script.name} does not exist in the code of the job.")
    spec = importlib.util.spec_from_file_location(script.stem, str(script))
    if spec is None:
        raise ScriptError(f"The entry script {script.name} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module
    spec.loader.exec_module(module)
    if not callable(getattr(module, "run", None)):
        raise ScriptError(f"The entry script {script.name} has no function run(mini_batch).")
    return module


def takes_context(run):
    """Say whether ``run`` has a second parameter that must be given."""
    parameters = list(inspect.signature(run).parameters.values())
    if any(parameter.name == SECOND_PARAMETER for parameter in parameters):
        return True
    needed = [
        parameter
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return len(needed) > 1


class Script:
    """The user's entry script, and how it gets its mini-batches."""

    def __init__(self, task):
        self._root = Path(task["root"])
        self._table = task["table"]
        self._keeps_rows = task["keeps_rows"]
        self._module = load(task["script"])
        if callable(getattr(self._module, "init", None)):
            self._module.init()
        self._takes_context = takes_context(self._module.run)

    def read(self, detail):
        """Return what ``run`` is given of a mini-batch: paths, or a DataFrame."""
        if self._table is None:
            return [str(self._root / name) for name in detail["files"]]
        from azureml_user import _tables  # which needs pandas

        return _tables.read(self._table, self._root, detail["parts"])

    def run(self, items, number, detail):
        """Call ``run``; return how many items it says have succeeded, and their rows as bytes.

        A list's elements are written as text, each on a line; a DataFrame's rows without its column names, with a
        space between values: so says what Microsoft's samples read them with (how-to-batch-scoring-script, "How to
        write predictions?"; the notebooks of azureml-examples use ``sep=" "``).
        """
        if self._takes_context:
            result = self._module.run(items, MiniBatchContext(detail.get("partition"), number))
        else:
            result = self._module.run(items)
        if hasattr(result, "to_csv"):
            text = result.to_csv(sep=" ", header=False, index=False) if self._keeps_rows else ""
            return len(result), text.encode()
        if inspect.isgenerator(result):
            result = list(result)
        if isinstance(result, (str, bytes, dict)) or not hasattr(result, "__len__"):
            raise TypeError(
                "The run() method in the entry script should return a list or a pandas DataFrame. The length of "
                "returned result is considered as succeeded number of items. The actual type of output is "
                f"{type(result).__name__}."
            )
        text = "".join(f"{row}\n" for row in result) if self._keeps_rows else ""
        return len(result), text.encode()

    def shutdown(self):
        """Let the script clean up."""
        if callable(getattr(self._module, "shutdown", None)):
            self._module.shutdown()


def failure(error):
    """Return an exception as one line, and as a traceback that begins in the entry script."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    frames = [line for line in lines if f'File "{__file__}"' not in line]
    return {"error": f"{type(error).__name__}: {error}", "traceback": "".join(frames)}


def process(script, channel, message):
    """Process one mini-batch, and answer."""
    detail = message["detail"]
    started = time.process_time()
    try:
        items = script.read(detail)
    except Exception as error:
        print(f"ERROR:azureml:Error processing input file: {error}", flush=True)
        channel.send({"status": "LOAD_EXCEPTION", **failure(error)})
        return
    if "parts" in detail:
        channel.send({"loaded": len(items)})
    begun = time.perf_counter()
    try:
        succeeded, rows = script.run(items, message["id"], detail)
    except Exception as error:
        traceback.print_exc()
        answer, rows = {"status": "RUN_EXCEPTION", **failure(error)}, b""
    else:
        answer = {"status": "RUN_DONE", "succeeded": succeeded}
    sys.stdout.flush()
    times = {"run_seconds": time.perf_counter() - begun, "process_seconds": time.process_time() - started}
    channel.send({**answer, **times}, rows)


def import_ahead(names):
    """Import modules before the script does, which says what is wrong where one cannot be."""
    del sys.path[0]  # this file's own folder
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    sys.path.insert(0, "")


def prepare(task, name):
    """Make this process look as Azure's do to the entry script."""
    os.environ.update(task["environment"])
    script = Path(task["script"])
    sys.argv = [str(script), *task["arguments"]]
    runtime = str(Path(__file__).resolve().parents[1])
    sys.path[:1] = dict.fromkeys([str(script.parent), task["place"]["working_dir"], runtime])
    logging.basicConfig(stream=sys.stdout, level=task["place"]["logging_level"])
    from azureml_user.parallel_run import EntryScript

    EntryScript._place = {**task["place"], "process": name, "script_dir": str(script.parent)}


def main():
    """Serve the supervisor until it says no more."""
    name, connection, errors = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    os.dup2(errors, 2)
    os.close(errors)
    channel = Channel(connection)
    task = channel.receive()
    if task and "imports" in task:
        import_ahead(task["imports"])
        task = channel.receive()
    if task is None:
        return
    prepare(task, name)
    try:
        script = Script(task)
    except Exception as error:
        traceback.print_exc()
        channel.send({"is_final": isinstance(error, ScriptError), **failure(error)})
        return
    channel.send({"ready": True})
    message = channel.receive()
    while message is not None:
        process(script, channel, message)
        message = channel.receive()
    script.shutdown()


if __name__ == "__main__":
    main()
