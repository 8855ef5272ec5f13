"""Components of functions, which hand values to each other: as in Microsoft's samples of mldesigner."""

from mldesigner import Output, command_component


@command_component()
def count(words: str) -> int:
    return len(words.split())


@command_component()
def write(number: int, text: str, written: Output(type="uri_folder")):
    from pathlib import Path

    (Path(written) / "said").write_text(f"{text} {number + 1}")


@command_component()
def fail() -> str:
    raise ValueError("there is no value")
