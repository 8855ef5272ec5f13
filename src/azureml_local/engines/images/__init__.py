"""Container images for those who have no containers: what a Dockerfile asks for, as files and a Python."""
