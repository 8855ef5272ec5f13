"""Jobs: what one is to run, how it is run on its nodes, and what comes of it."""
