"""Every exception that bookstore_y raises on purpose.

The tree answers the one question a caller has to decide on: is the thing not there
(`NotFound`), can I not know right now (`BucketUnavailable`, `AccessDenied`), or is what
I gave or found unusable (`InvalidPath`, `CorruptSnapshot`)? Only `NotFound` ever means that
the bucket itself said that something does not exist.
"""

from __future__ import annotations


class BookstoreError(Exception):
    """Base of all errors of this package. The message is one sentence to show to a person."""


class ConfigurationError(BookstoreError):
    """A setting is missing or contradicts another; only the configuration can mend it."""


class InvalidPath(BookstoreError, ValueError):
    """A document path cannot be a key in the bucket."""


class InvalidLabel(BookstoreError, ValueError):
    """A label is empty, or cannot be an object tag."""


class InvalidToken(BookstoreError, ValueError):
    """What was given to go on with a listing is not what an earlier page gave."""


class BucketNotAllowed(BookstoreError):
    """Objects of this bucket may not be cloned."""


class NotFound(BookstoreError):
    """The bucket was asked and said that this does not exist."""


class DocumentNotFound(NotFound):
    """The bucket holds no current snapshot of the document."""


class VersionNotFound(NotFound):
    """The document has no version of that id."""


class BucketError(BookstoreError):
    """The bucket could not be used. Nothing is known about what it holds."""


class BucketUnavailable(BucketError):
    """The endpoint did not answer, or answered that it cannot serve now. Trying again may help."""


class AccessDenied(BucketError):
    """The credentials are missing, wrong, expired, or do not allow this call."""


class ListingDenied(AccessDenied):
    """Reading was denied, and so is the listing that would say whether there is anything to
    read."""


class ObjectLocked(AccessDenied):
    """S3 Object Lock retains what was to be removed."""


class BucketNotFound(BucketError):
    """The endpoint answered that there is no such bucket."""


class VersionInColdStorage(BucketError):
    """The version is in a storage class from which S3 reads nothing at once, as GLACIER is."""


class VersioningNotEnabled(BucketError):
    """The bucket keeps no versions, so writing to it would overwrite history."""


class PreconditionFailed(BucketError):
    """A conditional write was refused: the object is not what the writer last knew."""


class SnapshotError(BookstoreError):
    """What was read is there, but is not a usable snapshot."""


class CorruptSnapshot(SnapshotError):
    """Not a zstd frame, truncated, failing its checksum, or not a Yjs update."""


class DocumentTooLarge(SnapshotError):
    """The snapshot would decompress past `max_document_size`."""


class UnsupportedDocument(BookstoreError):
    """The operation needs a document type of jupyter_ydoc, and this document has none, or holds
    no content of its type."""


class UpdateBufferError(BookstoreError):
    """The update buffer (its SQLite database) cannot be opened, read or written."""
