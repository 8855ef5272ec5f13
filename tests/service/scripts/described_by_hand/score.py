"""A scoring script with an OpenAPI document beside it, and others for it to be mistaken for."""


def init():
    pass


def run(raw):
    return "described by hand"
