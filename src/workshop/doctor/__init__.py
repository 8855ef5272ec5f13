"""Before the day: whether a machine carries a room of learners, and what to do where it does not."""
