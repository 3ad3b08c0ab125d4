"""Problem documents (RFC 9457): every refused request is told what is wrong and what to do."""

from http import HTTPStatus

import msgspec
from starlette.responses import Response

from qscan_contracts.intake import PROBLEM_CONTENT_TYPE, Problem
from qscan_kit import metrics

RETRY_AFTER_S = 5


class ProblemError(Exception):
    """A request that is not scanned. `detail` is for whoever sent it and says what to do."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


def malformed(detail: str) -> ProblemError:
    """400."""
    return ProblemError(HTTPStatus.BAD_REQUEST, detail)


def unauthorized(detail: str) -> ProblemError:
    """401."""
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail)


def unavailable(detail: str) -> ProblemError:
    """503, to try again after `RETRY_AFTER_S`."""
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail)


def response(problem: ProblemError) -> Response:
    """The problem as an HTTP response."""
    metrics.MESSAGES_REFUSED.labels(str(problem.status.value)).inc()  # names change from one Python to the next
    body = Problem(title=problem.status.phrase, status=problem.status.value, detail=problem.detail)
    headers = {}
    if problem.status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if problem.status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(body), problem.status, headers, PROBLEM_CONTENT_TYPE)
