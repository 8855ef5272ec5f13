"""Jobs on somebody else's machine, over SSH: it needs nothing but an SSH server and a Python.

A node of the service's own does everything that has to do with storage, as for any job. Only the job's processes run on
the machine: their files are copied there and back, and a channel's standard input is what keeps them alive.
"""
