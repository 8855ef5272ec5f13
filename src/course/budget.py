"""What a run may cost on Azure, by the prices of ``course.yml``; on the local service a calculation only."""

from __future__ import annotations

from course.catalogue import Lesson


class Budget:
    """Decides before each lesson whether it still starts. Lessons that run side by side are all counted in full.

    Azure's own bill comes a day later; so a lesson is taken to have cost what ``course.yml`` says, and more in
    proportion where it took longer than that says.
    """

    def __init__(self, usd: float | None) -> None:
        self.usd = usd  # None: there is no limit
        self._costs: dict[str, float] = {}  # by the lesson's id

    @property
    def spent(self) -> float:
        """What the lessons that were started cost, in USD."""
        return sum(self._costs.values())

    def refusal(self, lesson: Lesson) -> str | None:
        """Why the lesson cannot be started; None where it can, and is then counted."""
        if self.usd is not None and round(self.spent + lesson.azure_usd, 2) > self.usd:
            return (
                f"not started: it costs {lesson.azure_usd:.2f} USD on Azure, and of the budget of {self.usd:.2f} USD "
                f"{max(self.usd - self.spent, 0):.2f} are left"
            )
        self._costs[lesson.id] = lesson.azure_usd
        return None

    def settle(self, lesson: Lesson, seconds: float) -> None:
        """Counts what the lesson has cost, now that it has ended."""
        self._costs[lesson.id] = lesson.azure_usd * max(1.0, seconds / (60 * lesson.azure_minutes))
