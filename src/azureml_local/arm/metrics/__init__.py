"""What endpoints and deployments measure, and how Azure Monitor is asked for it."""
