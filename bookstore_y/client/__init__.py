"""BookstoreClient: the bookstore of a Jupyter server, for notebook cells and scripts.

Nothing here imports jupyter_server when it is imported, and nothing speaks S3: all goes over the
server's REST calls, so that a kernel needs no credentials of the bucket.
"""

from ._client import BookstoreClient
from ._diff import NotebookChange, RenderedDiff
from ._errors import (
    ClientError,
    NotebookNotFound,
    NotFoundThere,
    RequestRefused,
    ServerNotFound,
    ServerUnreachable,
)
from ._show import ShownDocument
from ._versions import ListedVersion, VersionList

__all__ = [
    "BookstoreClient",
    "ClientError",
    "ListedVersion",
    "NotFoundThere",
    "NotebookChange",
    "NotebookNotFound",
    "RenderedDiff",
    "RequestRefused",
    "ServerNotFound",
    "ServerUnreachable",
    "ShownDocument",
    "VersionList",
]
