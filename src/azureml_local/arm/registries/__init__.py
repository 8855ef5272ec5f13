"""Registries: assets that several workspaces use, and where the files of these lie."""
