"""A synthetic record, as `huzheng submit` reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from node.sample_data.people import Person

Action = Literal["assert", "revoke"]
"""What a record does to the statement before it."""


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """One statement of one department.

    `version` counts from 1 for each subject of a resource; the record before it in the stream with the same resource
    and subject is the one that it replaces. `people` are those whose random ids appear here for the first time.
    """

    department: str
    resource: str
    subject: str
    action: Action
    version: int
    fields: Mapping[str, str]
    people: tuple[Person, ...]
    relies_on: tuple[tuple[str, str], ...] = ()
    """Resources and subjects of which it relies on what is in force."""

    def to_json(self) -> str:
        """One line of JSON for `huzheng submit`: without the people."""
        line = {
            "resource": self.resource,
            "subject": self.subject,
            "action": self.action,
            "version": self.version,
            "fields": dict(self.fields),
        }
        if self.relies_on:
            line["relies_on"] = [{"resource": resource, "subject": subject} for resource, subject in self.relies_on]
        return json.dumps(line, ensure_ascii=False)
