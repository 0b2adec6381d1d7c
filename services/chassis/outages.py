"""Telling a part of the system that is away, and will be back, from a fault of ours."""

import asyncpg
import redis.exceptions
from amqp.exceptions import AMQPError
from grpc import StatusCode
from grpc.aio import AioRpcError
from kombu.exceptions import KombuError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# SQLSTATE: connection, rollback (serialization, deadlock), resources, lock wait, operator or time-out.
_PASSING = ("08", "40", "53", "55P03", "57")
_AWAY = (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.RESOURCE_EXHAUSTED)


def is_outage(error: BaseException) -> bool:
    """Whether repeating later is the cure: database, broker, another service or the network is away or too busy."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (error.orig is not None and is_outage(error.orig))
    if isinstance(error, AioRpcError):
        return error.code() in _AWAY
    if sqlstate := getattr(error, "sqlstate", None):
        return str(sqlstate).startswith(_PASSING)
    return isinstance(
        error,
        OSError
        | TimeoutError
        | PoolTimeoutError
        | asyncpg.InterfaceError
        | KombuError
        | AMQPError
        | redis.exceptions.RedisError,
    )
