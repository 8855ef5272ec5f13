"""A room of learners: JupyterHub, where each learner is an own user of this machine with an own local service."""
