"""What the exit status of the course's commands means; ``docs/unattended.md`` has the table."""

PASSED = 0  # all passed; nothing is left
FAILED = 1  # a lesson failed or took too long; something is left
USAGE = 2  # the command line, or a file of the course, is not as it should be; argparse's own
NOT_READY = 3  # the machine, or Azure, lacks what lessons need: none, or not these, was started; the others passed
OVER_BUDGET = 4  # what was started passed, but the budget did not suffice for all
SIGNALLED = 128  # and the signal's number, as a shell has it: 130 after Ctrl-C, 143 when a CI system's time is up
