"""Who may do what: role assignments, managed identities, key vaults."""
