"""The control plane: Azure Resource Manager's protocol over one generic store, one module a kind of resource."""
