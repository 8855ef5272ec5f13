"""The data plane: what clients call on other hosts than Resource Manager's."""
