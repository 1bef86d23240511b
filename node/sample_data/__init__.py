"""Synthetic property records: coherent stories of flats, with valid codes, and nobody in them who has ever lived."""

from __future__ import annotations

from node.sample_data.generator import MAX_RECORDS, generate
from node.sample_data.people import Person
from node.sample_data.records import Action, SampleRecord

__all__ = ["MAX_RECORDS", "Action", "Person", "SampleRecord", "generate"]
