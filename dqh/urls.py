"""URLs of object stores, as texts: which texts are some, how paths below them are spelt, and what in them is secret.

Nothing is opened here, see `dqh.remote`. A URL is kept as it is written, but for its scheme in lower case and slashes
at its end: what stands behind the bucket is a key, of any letters, and is neither unescaped nor shortened.
"""

import os
import posixpath
import re
import shlex
from collections.abc import Iterable
from itertools import takewhile

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
"""The scheme has two letters at least, one is a drive."""

_URL_AS_PATH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)
"""What `Path` leaves of a URL has one slash."""

_PASSWORD = re.compile(r"(?<=://)(?!arn:)[^/@\s]*:(?![0-9]+(?:/|$))[^@\s]*@")
"""NAME:SECRET@, where a secret key may hold slashes; neither the port of a host nor the ARN of an access point."""

_SIGNATURE = re.compile(
    r"([?&](?:x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|awsaccesskeyid|signature"
    r"|sig|token|access_token|password|secret)=)[^&\s'\"]+",
    re.IGNORECASE,
)


def is_url(text: str) -> bool:
    """Whether a text is a URL.

    Example:
        >>> is_url("s3://bucket/photos"), is_url("/photos"), is_url("C://photos")
        (True, False, False)
    """
    return _URL.match(text) is not None


def scheme_of(url: str) -> str:
    """The scheme of a URL, in lower case."""
    return url.partition("://")[0].lower()


def spelt(url: str) -> str:
    """A URL in its one spelling.

    Example:
        >>> spelt("S3://Bucket/a b//c/")
        's3://Bucket/a b//c'
    """
    scheme, _, rest = url.partition("://")
    return f"{scheme.lower()}://{rest if rest.startswith('/') and not rest.strip('/') else rest.rstrip('/')}"


def store_of(url: str) -> str:
    """The scheme of a URL with what is asked: `s3://bucket`, `hdfs://host:port`; of some that is nothing.

    Example:
        >>> store_of("s3://bucket/photos/1.jpg"), store_of("memory://photos")
        ('s3://bucket', 'memory://photos')
    """
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def folder_of(url: str) -> str:
    """The URL of the folder that something lies in, up to its bucket.

    Example:
        >>> folder_of("s3://bucket/a/1.jpg"), folder_of("s3://bucket")
        ('s3://bucket/a', 's3://bucket')
    """
    store = store_of(url)
    return store + url[len(store) :].rpartition("/")[0]


def name_of(url: str) -> str:
    """The last part of a URL.

    Example:
        >>> name_of("s3://bucket/a/1.jpg")
        '1.jpg'
    """
    return url.rpartition("/")[2]


def joined(folder: str, path: str) -> str:
    """The URL of a path that is relative to a URL; `..` in the path goes up, and never beyond the bucket.

    Example:
        >>> joined("s3://bucket/lists", "../photos/1.jpg"), joined("s3://bucket", "photos/1.jpg")
        ('s3://bucket/photos/1.jpg', 's3://bucket/photos/1.jpg')
    """
    if not {".", ".."}.intersection(path.split("/")):
        return f"{folder}/{path}"
    store = store_of(folder)
    return store + posixpath.normpath(posixpath.join("/", folder[len(store) :], path))


def below(url: str, root: str) -> str | None:
    """A URL relative to one of a folder that it lies below; None where it does not, or its rest would be another path.

    Example:
        >>> below("s3://bucket/a/1.jpg", "s3://bucket"), below("s3://bucket//1.jpg", "s3://bucket")
        ('a/1.jpg', None)
    """
    above = root.rstrip("/") + "/"
    rest = url[len(above) :] if url.startswith(above) else ""
    return None if not rest or rest.startswith(("/", "../")) or is_url(rest) else rest


def common_folder(urls: Iterable[str]) -> str:
    """The URL of the folder that all of these are, or lie in; all are of one store.

    Example:
        >>> common_folder(["s3://bucket/a/b", "s3://bucket/a"])
        's3://bucket/a'
    """
    parts = zip(*(url.split("/") for url in urls), strict=False)
    return "/".join(names[0] for names in takewhile(lambda names: len(set(names)) == 1, parts))


def redacted(text: str) -> str:
    """A text with *** in the place of what is secret in the URLs in it: passwords, keys and signatures.

    Example:
        >>> redacted("s3://NAME:SE/CRET@bucket/1.jpg"), redacted("hdfs://host:8020/a@2x.png")
        ('s3://***@bucket/1.jpg', 'hdfs://host:8020/a@2x.png')
    """
    return _SIGNATURE.sub(r"\1***", _PASSWORD.sub("***@", text)) if "://" in text else text


def has_secret(url: str) -> bool:
    """Whether there is something secret in a URL."""
    return redacted(url) != url


def not_local(path: str | os.PathLike[str]) -> str | None:
    """Why a path cannot be one of this machine, and the next step: it is a URL; None where it is a path.

    A `Path` of a URL is known by its first part, `s3:`. A folder of such a name is reached as `/…/s3:`.

    Example:
        >>> print(str(not_local("s3://bucket/photos.index")).partition(",")[0])
        s3://bucket/photos.index is a URL
        >>> not_local("/photos.index")
    """
    match = _URL_AS_PATH.match(os.fspath(path))
    if match is None:
        return None
    if match[1].lower() == "file":
        return f"file:///{match[2]} is a URL, wanted a path; write {shlex.quote('/' + match[2])}"
    url = f"{match[1]}://{match[2]}"
    told, word, rest = redacted(url), shlex.quote(url), ""
    if told != url:
        word, rest = (
            "URL",
            "; a URL has no password, key or signature: the environment says who you are, as AWS_PROFILE",
        )
    return (
        f"{told} is a URL, wanted a path of this machine; copy what is there here first, an index by dqh fetch {word} "
        f"DIR, and put an index that is finished there by dqh publish INDEX {word}{rest}"
    )
