"""What a lesson's cells import: connect, wait, score, track, show, name, check, clean up. Short enough to read.

Everything else in a cell is ``azure-ai-ml`` itself, so that it can be carried over into your own code as it stands.
"""

from helpers.checking import check, quiz
from helpers.cleanup import leftovers
from helpers.connection import connect, remove_identity, second_identity
from helpers.folders import lesson_folder
from helpers.naming import unique_name
from helpers.pictures import show
from helpers.scoring import score
from helpers.standing import progress
from helpers.tracking import metrics, track, watch
from helpers.waiting import until_permitted, wait

__all__ = [
    "check",
    "connect",
    "leftovers",
    "lesson_folder",
    "metrics",
    "progress",
    "quiz",
    "remove_identity",
    "score",
    "second_identity",
    "show",
    "track",
    "unique_name",
    "until_permitted",
    "wait",
    "watch",
]
