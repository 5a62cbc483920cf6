"""For whoever writes YAML and policies: JSON schemas for editors, and files to start from."""

from __future__ import annotations
