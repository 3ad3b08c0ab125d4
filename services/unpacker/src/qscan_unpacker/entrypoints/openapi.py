"""What ``/openapi.json`` says of ``POST /v1/scan`` beyond its query: bodies, answers, problems."""

from typing import Any

import msgspec

from qscan_contracts.intake import (
    ENVELOPE_SIZE_HEADER,
    FRAMED_CONTENT_TYPE,
    MAX_ENVELOPE_BYTES,
    MIN_ENVELOPE_BYTES,
    PROBLEM_CONTENT_TYPE,
    RAW_CONTENT_TYPE,
    FramedEnvelope,
    Problem,
    ScanAnswer,
)

_COMPONENTS = "#/components/schemas/{name}"


def schemas() -> dict[str, Any]:
    """The wire structs as JSON schemas, for the document's components."""
    _, components = msgspec.json.schema_components((ScanAnswer, Problem, FramedEnvelope), ref_template=_COMPONENTS)
    return components


def operation() -> dict[str, Any]:
    """The parts of the operation that FastAPI cannot know."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    envelope = _COMPONENTS.format(name="FramedEnvelope")
    return {
        "requestBody": {
            "required": True,
            "description": f"A raw message, or framed: an envelope ({envelope}) as JSON and then the raw message.",
            "content": {RAW_CONTENT_TYPE: binary, FRAMED_CONTENT_TYPE: binary},
        },
        "parameters": [
            {
                "name": ENVELOPE_SIZE_HEADER,
                "in": "header",
                "required": False,
                "description": f"Bytes of the envelope; required with {FRAMED_CONTENT_TYPE}.",
                "schema": {"type": "integer", "minimum": MIN_ENVELOPE_BYTES, "maximum": MAX_ENVELOPE_BYTES},
            }
        ],
        "security": [{}, {"token": []}],
    }


def responses() -> dict[int | str, dict[str, Any]]:
    """The answer and the problems, by status."""
    problem = {"content": {PROBLEM_CONTENT_TYPE: {"schema": {"$ref": _COMPONENTS.format(name="Problem")}}}}
    return {
        200: {
            "description": "The message was scanned, or it is said why not; `disposition` is what is to be done.",
            "content": {"application/json": {"schema": {"$ref": _COMPONENTS.format(name="ScanAnswer")}}},
        },
        400: {"description": "The request is malformed.", **problem},
        401: {"description": "effects=full without the token.", **problem},
        408: {"description": "The body came too slowly.", **problem},
        413: {"description": "The message is larger than the limit.", **problem},
        503: {"description": "Overloaded, or a required part is missing; see Retry-After.", **problem},
    }
