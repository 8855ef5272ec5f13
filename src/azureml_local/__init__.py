"""An Azure Machine Learning that runs on this machine.

Unmodified Azure clients reach it through an HTTPS proxy on loopback (:mod:`azureml_local.edge`). Behind it stand the
identity platform (:mod:`.identity`), the control plane (:mod:`.arm`) and the data plane (:mod:`.dataplane`); what does
the work are existing products, supervised as child processes (:mod:`.engines`).
"""

__version__ = "0.1.0"
