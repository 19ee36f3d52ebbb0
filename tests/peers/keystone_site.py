"""A real Keystone on loopback, run by the Python of the peers' environment:

    keystone_site.py FOLDER PORT

Everything it keeps is in FOLDER. It prints READY when it serves. ``POST /clock?ahead=SECONDS``
moves its clock, so that tokens expire without anybody waiting.
"""

import base64
import datetime
import os
import sys
from pathlib import Path
from urllib.parse import parse_qs

HOST = "127.0.0.1"
PASSWORD = "administrator-secret"
READY = "Keystone serves."

CONFIGURATION = """
[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = sqlite:///{folder}/keystone.sqlite
[fernet_tokens]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[identity]
password_hash_rounds = 4
[cache]
enabled = false
"""


def prepare(folder: Path) -> Path:
    configuration = folder / "keystone.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder))
    for name in ("fernet", "credential"):
        (folder / name).mkdir(mode=0o700)
        for number in (0, 1):
            key = folder / name / str(number)
            key.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
            key.chmod(0o600)
    return configuration


def administer(configuration: Path, *arguments: str) -> None:
    from keystone.cmd import cli

    # It is made for one command a process; a fork need not import everything again.
    child = os.fork()
    if not child:
        cli.main(["keystone-manage", "--config-file", str(configuration), *arguments])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"keystone-manage {arguments[0]} failed; see keystone.log in its folder")


def clocked(application):
    """The application, with a clock that callers can move."""
    from oslo_utils import timeutils

    def serve(environ, start_response):
        if environ["PATH_INFO"] != "/clock":
            return application(environ, start_response)
        timeutils.clear_time_override()
        seconds = int(parse_qs(environ["QUERY_STRING"])["ahead"][0])
        if seconds:
            ahead = datetime.timedelta(seconds=seconds)
            timeutils.set_time_override(timeutils.utcnow() + ahead)
        start_response("204 No Content", [])
        return [b""]

    return serve


def main(folder: Path, port: int) -> None:
    configuration = prepare(folder)
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = str(configuration)
    administer(configuration, "db_sync")
    administer(
        configuration,
        "bootstrap",
        "--bootstrap-password",
        PASSWORD,
        "--bootstrap-public-url",
        f"http://{HOST}:{port}/v3",
        "--bootstrap-region-id",
        "RegionOne",
    )
    # Keystone would read the arguments as its own.
    del sys.argv[1:]
    from keystone.server.wsgi import initialize_public_application
    from werkzeug.serving import make_server

    server = make_server(HOST, port, clocked(initialize_public_application()), threaded=True)
    print(READY, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
