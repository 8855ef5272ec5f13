"""The customer's acceptance of the capstone: what was built is looked at and tried, whichever way it was built."""

from helpers.acceptance.acceptance import Acceptance

__all__ = ["Acceptance"]
