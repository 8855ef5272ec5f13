"""Where files lie: storage accounts, datastores, container registries."""
