"""What runs in a cluster's environment, where this package is not installed."""
