"""Runs the workbook's notebooks unattended and reports on them: ``python -m course.run``."""
