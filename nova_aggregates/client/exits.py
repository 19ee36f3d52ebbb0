"""The exit codes, which scripts rely on. doc/source/client.rst repeats them."""

import enum


class Exit(enum.IntEnum):
    OK = 0
    REFUSED = 1  # the service refused the request, or the client could not do it
    USAGE = 2  # the command line is wrong
    UNREACHABLE = 3  # no connection to the service or the identity service, or no log-in
    OPERATION_FAILED = 4  # the operation that was waited for did not succeed
    BLOCKED = 5  # a look found what stands in the way
    TIMEOUT = 6  # the wait was given up; the operation goes on
    NOT_CONFIRMED = 7  # the question was answered with no, or nobody could be asked
    INTERRUPTED = 130
