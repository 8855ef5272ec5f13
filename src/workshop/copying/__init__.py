"""The work on a learner's copy, done with the learner's rights and by the standard library alone."""
