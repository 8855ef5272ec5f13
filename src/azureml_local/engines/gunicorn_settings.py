"""Settings of gunicorn under the inference server: those of the server's own command line, but for the address.

A file, because older releases, which old environments bring, ignore a setting here that they do not know, where they
would refuse an option.
"""

accesslog = "-"
errorlog = "/dev/null"  # the inference server's own log handler writes what would come here
control_socket_disable = True
