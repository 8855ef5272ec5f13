"""Before anything is made: whether a workspace has what the lessons need, and what to do where it has not."""
