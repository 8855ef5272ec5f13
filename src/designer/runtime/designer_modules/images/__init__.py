"""Images: a directory of them, what is done to them before training, and networks that tell their categories."""
