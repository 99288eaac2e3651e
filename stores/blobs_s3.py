"""Files by their sha256 in a bucket of S3, or of a server that speaks like it.

Session, endpoint and bucket are those of maggma's S3Store, whose ``update`` packs whole
documents in memory and needs an index beside; blocks go past that, as objects
``prefix/ab/abcd...`` that any S3 client can read.
"""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from maggma.stores import MemoryStore
from maggma.stores.aws import S3Store

from ..errors import MissingDependencyError, StoreError, StoreTimeoutError
from .blobs import ABANDONED_S, BLOCK, MARKER, Checked, belongs_to_another, is_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .trajectory_places import Place

try:
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        HTTPClientError,
        NoCredentialsError,
    )
    from botocore.exceptions import (
        ConnectionError as NoConnectionError,
    )
except ImportError:
    raise MissingDependencyError.of("boto3", "s3", "trajectories in S3") from None

_PART = 16 * 2**20
_CONNECT_S, _READ_S = 5, 60
_BUSY, _FIRST_SERVER_ERROR = 429, 500
_GONE = frozenset(("404", "NoSuchKey", "NotFound"))


class S3Blobs:
    """Objects of a bucket; S3 shows them whole or not at all.

    Parameters
    ----------
    place
        Bucket, prefix, endpoint; credentials come from the environment or the profile.
    """

    def __init__(self, place: Place) -> None:
        self.name = place.text
        self._place = place
        profile = {"profile_name": place.profile, "region_name": place.region}
        self._store = S3Store(
            MemoryStore(key="sha256"),
            place.bucket,
            s3_profile={key: value for key, value in profile.items() if value},
            endpoint_url=place.endpoint,
            sub_dir=place.prefix or None,
            key="sha256",
            s3_resource_kwargs={
                "config": Config(
                    connect_timeout=_CONNECT_S,
                    read_timeout=_READ_S,
                    retries={"total_max_attempts": 1},
                )
            },
        )
        self._made: Any = None

    def prepare(self, owner: str) -> None:
        """See whether the bucket is there, haloflow makes none; note whose the prefix is."""
        with self._translated("the bucket"):
            self._client.head_bucket(Bucket=self._place.bucket)
            known = self._marked()
            if known is None:
                known = owner
                where = {"Bucket": self._place.bucket, "Key": f"{self._store.sub_dir}{MARKER}"}
                self._client.put_object(**where, Body=owner.encode())
        if known != owner:
            raise belongs_to_another(self.name, known)

    def belongs_to(self, owner: str) -> bool:
        """Tell whether the marker says so."""
        with self._translated("its marker"):
            return bool(owner) and self._marked() == owner

    def _marked(self) -> str | None:
        where = {"Bucket": self._place.bucket, "Key": f"{self._store.sub_dir}{MARKER}"}
        try:
            with closing(self._client.get_object(**where)["Body"]) as body:
                known: str = body.read().decode()
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return None
            raise
        return known

    def size(self, sha256: str) -> int | None:
        """Return the size of an object, or ``None``."""
        found = self._head(sha256)
        return None if found is None else int(found["ContentLength"])

    def written_at(self, key: str) -> float | None:
        """Return when an object came."""
        found = self._head(key)
        return None if found is None else float(found["LastModified"].timestamp())

    def _head(self, key: str) -> dict[str, Any] | None:
        with self._translated(key):
            try:
                found: dict[str, Any] = self._client.head_object(
                    Bucket=self._place.bucket, Key=self._key(key)
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in _GONE:
                    return None
                raise
        return found

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield checksum and size of all objects."""
        pages = self._client.get_paginator("list_objects_v2")
        with self._translated("its list"):
            for page in pages.paginate(Bucket=self._place.bucket, Prefix=self._store.sub_dir):
                for row in page.get("Contents", ()):
                    name = row["Key"].rpartition("/")[2]
                    if is_key(name) and row["Key"] == self._key(name):
                        yield name, int(row["Size"])

    def write(
        self, key: str, path: Path, sha256: str | None = None, *, again: bool = False
    ) -> None:
        """Store a file: what is larger than 16 MiB in parts, one in memory at a time."""
        if not again and self.size(key) is not None:
            return
        for _ in Checked(path, sha256 or key).blocks():
            pass
        parts = TransferConfig(
            multipart_threshold=_PART, multipart_chunksize=_PART, use_threads=False
        )
        where = {"Bucket": self._place.bucket, "Key": self._key(key)}
        with self._translated(key):
            if path.stat().st_size > _PART:
                self._abort_parts(key)
            self._client.upload_file(str(path), **where, Config=parts)

    def read(self, sha256: str) -> Iterator[bytes]:
        """Yield the blocks of an object."""
        with self._translated(sha256):
            found = self._client.get_object(Bucket=self._place.bucket, Key=self._key(sha256))
            with closing(found["Body"]) as body:
                yield from body.iter_chunks(BLOCK)

    def remove(self, sha256: str) -> None:
        """Delete an object."""
        with self._translated(sha256):
            self._client.delete_object(Bucket=self._place.bucket, Key=self._key(sha256))

    def clear_up(self) -> None:
        """Take back the parts of uploads that never ended."""
        with self._translated("its list"):
            self._abort_below(self._store.sub_dir)

    def close(self) -> None:
        """Close the connection."""
        if self._made is not None:
            self._made.close()
            self._made = None

    def _abort_parts(self, sha256: str) -> None:
        """Take back the parts that a killed upload of the same file left, which cost room.

        Those of today may be of another process that is sending the same file.
        """
        self._abort_below(self._key(sha256))

    def _abort_below(self, prefix: str) -> None:
        long_ago = datetime.now(UTC) - timedelta(seconds=ABANDONED_S)
        with suppress(ClientError):  # not every user may list them
            found = self._client.list_multipart_uploads(Bucket=self._place.bucket, Prefix=prefix)
            for row in found.get("Uploads", ()):
                name = row["Key"].rpartition("/")[2]
                is_ours = is_key(name) and row["Key"] == self._key(name)
                if is_ours and row["Initiated"] < long_ago:
                    self._client.abort_multipart_upload(
                        Bucket=self._place.bucket, Key=row["Key"], UploadId=row["UploadId"]
                    )

    def _key(self, sha256: str) -> str:
        return f"{self._store.sub_dir}{sha256[:2]}/{sha256}"

    @property
    def _client(self) -> Any:
        if self._made is None:
            session = self._store._get_session()
            endpoint, options = self._store._get_endpoint_url(), self._store.s3_resource_kwargs
            self._made = session.client("s3", endpoint_url=endpoint, **options)
        return self._made

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        from boto3.exceptions import S3UploadFailedError  # noqa: PLC0415  (an extra)

        try:
            yield
        except (BotoCoreError, ClientError, S3UploadFailedError, OSError) as error:
            cause = error.__context__ if isinstance(error, S3UploadFailedError) else error
            kind = StoreTimeoutError if _may_pass(cause) else StoreError
            raise kind(
                f"the S3 store of trajectories cannot be used: {_words(cause)}",
                given=f"{what} in {self.name}",
                remedy=_remedy(cause),
            ) from error


def _may_pass(error: BaseException | None) -> bool:
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return bool(status == _BUSY or status >= _FIRST_SERVER_ERROR)
    return isinstance(error, (NoConnectionError, HTTPClientError, OSError))


def _words(error: BaseException | None) -> str:
    if isinstance(error, ClientError):
        return f"{error.response['Error']['Code']} {error.response['Error'].get('Message', '')}"
    return f"{type(error).__name__}: {error}"


def _remedy(error: BaseException | None) -> str:
    if isinstance(error, NoCredentialsError):
        return (
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY here, or name a profile of "
            "~/.aws/credentials in the place: ...?profile=NAME"
        )
    if _may_pass(error):
        return "check that the endpoint is reachable from here; what was stored stays"
    return "check bucket, endpoint and what these credentials may do; haloflow makes no bucket"
