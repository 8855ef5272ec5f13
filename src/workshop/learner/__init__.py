"""A learner's side of the board: what their Jupyter server tells it, and what it brings to their JupyterLab.

``etc`` is a folder of Jupyter's settings, which enables the server's extension (and lets kernels use sockets in a
private folder rather than ports), and ``share`` one of its data, which holds
JupyterLab's; ``environment`` says where they lie. Written by hand, JupyterLab's needs no Node to be built.

The settings let a server remember for half a day who has logged in, rather than for five minutes: while the hub is
away, it cannot be asked. See ``extension.forget_visitors``.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
NEWS = "AZUREML_WORKSHOP_NEWS"  # sentences on what has changed in the learner's copy of the notebooks, as JSON
BOARD = "AZUREML_WORKSHOP_BOARD"  # the variable that names the board's address, as the server reaches it


def environment(board: str) -> dict[str, str]:
    """Return the variables of a learner's server that reports to the board at this address.

    Args:
        board: such as ``http://127.0.0.1:8090/services/board/``.
    """
    return {BOARD: board, "JUPYTER_CONFIG_PATH": str(HERE / "etc"), "JUPYTER_PATH": str(HERE / "share")}
