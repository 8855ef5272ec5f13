"""The image of a room: one container, or one pod, a learner, with JupyterLab and an Azure ML of their own."""
