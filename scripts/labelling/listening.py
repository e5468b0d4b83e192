"""The socket that the labelling page is served on.

Without LeRobot, so that a port in use is said at once and not after the seconds that LeRobot's import takes.
"""

import errno
import socket

from shared.cli import UserError


def listen(port: int) -> socket.socket:
    """A socket on 127.0.0.1, or a UserError; port 0 takes any free port."""
    # The protocol is named, because asyncio then sends each answer at once (TCP_NODELAY) and not 40 ms later.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # free at once after a restart, but still refused while another process listens
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
        sock.listen(128)
    except (OSError, OverflowError) as error:
        sock.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise UserError(
                f"port {port} is in use: stop the program that listens there, or give another --port."
            ) from error
        raise UserError(
            f"cannot listen on port {port}: {getattr(error, 'strerror', None) or error}."
        ) from error
    return sock
