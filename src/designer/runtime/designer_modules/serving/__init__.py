"""A web service of a Designer's graph: requests are judged, the graph is run, and answers are written."""

from .service import Answer, WebService

__all__ = ["Answer", "WebService"]
