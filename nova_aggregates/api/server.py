"""The API in a process of our own: eventlet's HTTP server as a service of oslo.service.

The caller monkey-patches; this module only uses what is green by itself.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import eventlet
import eventlet.wsgi
import greenlet
from eventlet import event
from eventlet.green import socket
from oslo_config import cfg
from oslo_log import log
from oslo_service import service

from nova_aggregates.api import wsgi
from nova_aggregates.api.call import PAUSE
from nova_aggregates.api.deployment import Deployment
from nova_aggregates.api.faults import foreign_fault
from nova_aggregates.exceptions import ConfigurationInvalid

LOG = log.getLogger(__name__)

LOG_FORMAT = (
    '%(client_ip)s "%(request_line)s" status: %(status_code)s len: %(body_length)s '
    "time: %(wall_seconds).6f"
)


class Protocol(eventlet.wsgi.HttpProtocol):
    """Fair to all connections, impatient with slow ones, and answers a request line and headers
    that nobody can parse with a fault, too."""

    error_content_type = "application/json"
    request_version: str
    header_timeout = 20.0  # seconds

    def handle_one_request(self) -> None:
        self._timer: Any = None
        try:
            super().handle_one_request()
        except TimeoutError:
            if self._timer is None:
                raise  # idle, or slow with its body
            self.close_connection = True
            self.send_error(408)
        finally:
            self._stop_timer()
        # A client that always has its next request ready would keep everybody else waiting: as
        # long as there is something to read, eventlet reads on without a look at the others.
        eventlet.sleep(0)

    def _read_request_line(self) -> bytes:
        self.request_version = self.default_request_version
        self.command = self.requestline = ""
        if not self.rfile.closed and self._has_begun():
            self._timer = eventlet.Timeout(self.header_timeout, TimeoutError("slow headers"))
        return super()._read_request_line()

    def _has_begun(self) -> bool:
        """Wait for the first byte of a request, for as long as a connection may be idle."""
        try:
            return bool(self.rfile.peek(1))
        except TimeoutError:
            raise
        except OSError:
            return False  # eventlet meets it again and knows what it means

    def parse_request(self) -> bool:
        understood = super().parse_request()
        self._stop_timer()
        return understood

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        if self.request_version == self.default_request_version:
            # What was not understood is no HTTP/0.9, whose answers have no status.
            self.request_version = "HTTP/1.0"
        document = json.dumps(foreign_fault(int(code), []).document)
        self.error_message_format = document.replace("%", "%%")
        # The texts that are given repeat what the client sent.
        super().send_error(code)

    def version_string(self) -> str:
        return "nova-aggregates"

    def log_message(self, template: str, *arguments: Any) -> None:
        # The request line is whatever the client sent.
        LOG.info("%s %r", self.address_string(), template % arguments)


class ApiServer(service.ServiceBase):
    """Listens from its construction on, which is before the launcher forks its workers.

    :param application: the WSGI application; by default the one that ``conf`` describes.
    :raises ConfigurationInvalid: the address cannot be listened on, or an option is bad.
    """

    def __init__(
        self, conf: cfg.ConfigOpts, application: wsgi.WSGIApplication | None = None
    ) -> None:
        self._conf = conf
        self._application = application or wsgi.load(Deployment.from_conf(conf))
        self._socket: Any = _listen(conf)
        self._pool: Any = None
        self._thread: Any = None
        self._stopping: Any = None

    @property
    def port(self) -> int:
        return self._socket.getsockname()[1]

    def start(self) -> None:
        _own_log_locks()
        options = self._conf.api
        if self._socket is None:
            self._socket = _listen(self._conf)
        self._stopping = event.Event()
        self._pool = eventlet.GreenPool(options.max_connections)
        protocol = type("Protocol", (Protocol,), {"header_timeout": options.header_timeout})
        self._thread = eventlet.spawn(
            eventlet.wsgi.server,
            self._socket,
            self._application,
            environ={PAUSE: self._pause},
            protocol=protocol,
            log=LOG,
            log_format=LOG_FORMAT,
            custom_pool=self._pool,
            socket_timeout=options.socket_timeout,
            keepalive=True,
            debug=False,
        )

    def stop(self) -> None:
        """Listen no more, so that nobody waits in vain; requests under way are answered."""
        if self._thread is not None and not self._stopping.ready():
            self._stopping.send(True)
            self._thread.kill()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _pause(self, seconds: float) -> bool:
        return not self._stopping.wait(seconds)

    def wait(self) -> None:
        if self._thread is None:
            return
        try:
            self._pool.waitall()
            self._thread.wait()
        except greenlet.GreenletExit:
            LOG.debug("stopped")

    def reset(self) -> None:
        """Nothing is kept that SIGHUP would have to renew: the policy reloads by itself."""


def _own_log_locks() -> None:
    """Under eventlet, oslo.log locks its handlers with a pipe (oslo_log/pipe_mutex.py), which
    forked workers share: one that is killed while it writes a line would silence and stop all
    the others."""
    for handler in logging.getLogger().handlers:
        handler.createLock()


def _listen(conf: cfg.ConfigOpts) -> Any:
    address = str(conf.api.host), conf.api.port
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit both. Without the first one, an answer that takes two
        # segments waits for the client's delayed acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.bind(where)
        listener.listen(conf.api.backlog)
    except OSError as error:
        raise ConfigurationInvalid(
            what=f"{address[0]}:{address[1]} cannot be listened on ({error.strerror})",
            cure="stop what listens there, or change host or port in [api].",
        ) from None
    return listener
