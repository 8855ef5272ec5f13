"""What makes the service real: existing products, each a supervised child process."""
