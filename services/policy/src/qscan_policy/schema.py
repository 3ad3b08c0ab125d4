"""The JSON schema of the rule file, for editors and for `qscan policy check`."""

from typing import Any

import msgspec

from qscan_policy.domain.entries import RuleFile


def rule_file_schema() -> dict[str, Any]:
    """JSON Schema 2020-12. Some rules go beyond it, such as that the decision table is complete."""
    schema = msgspec.json.schema(RuleFile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "qscan rule file", **schema}
