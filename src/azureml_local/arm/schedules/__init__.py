"""Schedules: triggers that make jobs, each on behalf of whoever wrote the schedule."""
