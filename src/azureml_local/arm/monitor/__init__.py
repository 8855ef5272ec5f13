"""Azure Monitor: Log Analytics workspaces, which resource sends which logs there, and the events themselves."""
