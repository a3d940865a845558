#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""usb_loop.py BYTES [VID:PID]: writes BYTES into a device that sends back what
it takes, and compares.  Through PyUSB, which finds libusb by its name."""

import hashlib
import os
import sys
import threading

import usb.core
import usb.util

CHUNK = 16384


def write_all(dev, amount, digest, trouble):
    try:
        while amount > 0:
            chunk = os.urandom(min(CHUNK, amount))
            digest.update(chunk)
            done = 0
            while done < len(chunk):
                done += dev.write(0x01, chunk[done:], 30000)
            amount -= len(chunk)
    except usb.core.USBError as error:
        trouble.append(error)


def main():
    amount = int(sys.argv[1])
    ids = sys.argv[2] if len(sys.argv) > 2 else "0525:a4a0"
    vendor, product = (int(part, 16) for part in ids.split(":"))
    dev = usb.core.find(idVendor=vendor, idProduct=product,
                        custom_match=lambda d: "loop" in (d.serial_number or ""))
    if dev is None:
        sys.exit("no device %s" % ids)
    dev.set_configuration()
    sent, back, trouble = hashlib.sha256(), hashlib.sha256(), []
    writer = threading.Thread(target=write_all,
                              args=(dev, amount, sent, trouble))
    writer.start()
    received = 0
    while received < amount and not trouble:
        chunk = dev.read(0x81, CHUNK, 30000)
        back.update(chunk)
        received += len(chunk)
    writer.join()
    if trouble:
        sys.exit("write: %s" % trouble[0])
    try:
        extra = dev.read(0x81, CHUNK, 100)
        sys.exit("%d bytes too many came back" % len(extra))
    except usb.core.USBTimeoutError:
        pass
    usb.util.dispose_resources(dev)
    print("%s: %d bytes there and back, SHA-256 %s" % (
        dev.product, received, back.hexdigest()))
    if sent.digest() != back.digest():
        sys.exit("they differ")


main()
