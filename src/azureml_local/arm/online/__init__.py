"""Online endpoints: their deployments, credentials, logs and what they collect."""
