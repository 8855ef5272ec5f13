"""Assets: models, environments, data, components, and the code of jobs and deployments."""
