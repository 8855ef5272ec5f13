"""Runs the workbook's notebooks unattended and reports on them: ``python -m course.run``."""

import sys

# jsonschema, which every Jupyter library imports, builds 35 grammars at import to check a kind of address that no
# notebook schema has. Without them a notebook's process is ready in 0.8 s instead of 3.1 s. jsonschema treats the
# package as optional. See https://github.com/python-jsonschema/jsonschema/issues/1428.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
