"""Schedules: triggers that make jobs, each on behalf of whoever made the schedule."""
