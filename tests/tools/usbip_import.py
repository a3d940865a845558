# SPDX-License-Identifier: GPL-3.0-or-later
"""usbip_import.py ADDRESS BUSID: imports a device, and says what came of it.

"imported" (it is let go at once), the server's reason, or "closed".
"""
import struct
import sys

from usbip_probe import Gone, connect, receive

STATUS = ["imported", "not available", "busy", "error", "no such device",
          "refused"]


def main(address, busid):
    sock = connect(address)
    try:
        sock.sendall(struct.pack(">HHI32s", 0x0111, 0x8003, 0, busid.encode()))
        _, _, status = struct.unpack(">HHI", receive(sock, 8))
    except (Gone, ConnectionResetError, BrokenPipeError):
        print("closed")
        return
    print(STATUS[status])


main(*sys.argv[1:])
