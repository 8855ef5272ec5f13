"""The trainer's live board: who is where in the course, who is stuck and why, and what can be done about it.

A service that JupyterHub manages, at ``/services/board/``. It hears from the learners' servers (``workshop.learner``),
asks the hub which of them run, and looks at the machine itself.
"""
