"""What to tell users when the disk does not take, or does not give, what is asked of it."""

from __future__ import annotations

import errno
import os

_FIRST_CODE = 100
_NOT_WRITABLE = "Let kernelsm write to the folder of its cache, or set KERNELSM_CACHE"
_WHAT_TO_DO = {
    errno.ENOSPC: ("the disk is full", "Make room on it, or delete chunks on the Gradients page"),
    errno.EDQUOT: ("the disk's quota is used up", "Make room on it, or delete chunks on the Gradients page"),
    errno.EROFS: (
        "the disk may only be read",
        "Let kernelsm write to the folder of its cache, or set KERNELSM_CACHE",
    ),
    errno.EACCES: ("kernelsm may not write there", _NOT_WRITABLE),
    errno.EPERM: ("kernelsm may not write there", _NOT_WRITABLE),
    errno.ENOENT: ("a file or folder is gone", "It was deleted meanwhile: start again"),
    errno.EMFILE: (
        "too many files are open",
        "Wait until some jobs have ended, or raise the limit (ulimit -n)",
    ),
}


def disk_words(error: OSError) -> str:
    """Return in a sentence or two what went wrong with the disk and what to do, without paths of the server.

    Examples
    --------
    >>> import errno
    >>> print(disk_words(OSError(errno.ENOSPC, "No space left on device")))
    The cache cannot be used: the disk is full. Make room on it, or delete chunks on the Gradients page; what was \
finished is kept.
    """
    usual = (os.strerror(error.errno).lower() if error.errno else "the disk gave an error", "Try again")
    what, fix = _WHAT_TO_DO.get(error.errno or 0, usual)
    return f"The cache cannot be used: {what}. {fix}; what was finished is kept."


def exit_code(error: OSError) -> int:
    """Return the code with which a process ends that can no longer write why.

    Examples
    --------
    >>> import errno
    >>> error_of(exit_code(OSError(errno.ENOSPC, "No space left on device"))).errno == errno.ENOSPC
    True
    """
    number = error.errno or errno.EIO
    return _FIRST_CODE + (number if number in errno.errorcode else errno.EIO)


def error_of(code: int) -> OSError | None:
    """Return the error of the disk that a process ended with, or None where its code is of something else."""
    number = code - _FIRST_CODE
    return OSError(number, os.strerror(number)) if number in errno.errorcode else None
