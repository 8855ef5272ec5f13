"""Jobs: what may be asked for as one, how it is stored and driven to its end, and what it leaves."""
