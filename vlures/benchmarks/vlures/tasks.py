"""The eight tasks of VLURes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    number: int
    code: str
    name: str
    needs_text: bool


TASKS: dict[int, Task] = {
    task.number: task
    for task in (
        Task(1, "OR", "object recognition", needs_text=False),
        Task(2, "SU", "scene understanding", needs_text=False),
        Task(3, "RU", "relationship understanding", needs_text=False),
        Task(4, "SS", "semantic segmentation", needs_text=False),
        Task(5, "IC", "image captioning", needs_text=False),
        Task(6, "ITM", "image-text matching", needs_text=True),
        Task(7, "U", "unrelatedness", needs_text=True),
        Task(8, "VQA", "visual question answering", needs_text=True),
    )
}
