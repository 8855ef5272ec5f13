"""Reads requests."""


def to_rows(request):
    """Return the measurements of a request's wines, a row for each."""
    return [[float(measurement) for measurement in wine] for wine in request["wines"]]
