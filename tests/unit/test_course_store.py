"""What is kept of a lesson's outputs when it is stored."""

from __future__ import annotations

from nbformat.v4 import new_output

from course.store import results


def test_dots_of_the_sdk_and_progress_are_not_kept() -> None:
    """azure-ai-ml prints a dot without a line's end each time it asks how an operation stands."""
    printed = [
        ("stdout", "..."),
        ("stderr", "50 %"),
        ("stdout", ".✓ one: done\n"),
        ("stdout", "..✓ two: done... or so\n"),
    ]
    kept = results([new_output("stream", name=name, text=text) for name, text in printed])
    assert [output.text for output in kept] == ["✓ one: done\n✓ two: done... or so\n"]
