"""Pipeline jobs: what a graph of steps may be, how it is planned, and how it is driven to its end."""
