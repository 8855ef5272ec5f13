"""A scoring script that cannot begin."""


def init():
    raise RuntimeError("the weights are of another shape")


def run(raw):
    return raw
