#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts muxphone's devices that are no phones through their paces.

    device_check.py ADDRESS CONTROL-SOCKET [SCALE]

There must be, in this order: sourcesink:pattern=1, sourcesink:loop,
sourcesink:speed=full,pattern=1,iso-pace=on, cdc-acm, hid, hid:fido,
dfu, hid:boot-keyboard,configured.  SCALE divides the amounts of data.
"""
import collections
import itertools
import struct
import sys
import time

from phone_check import ENDED, Control, step, until_gone, wait_for
from usbip_probe import Device, devinfo, devlist

KINDS = [("sourcesink", 0x0525, 0xa4a0), ("sourcesink", 0x0525, 0xa4a0),
         ("sourcesink", 0x0525, 0xa4a0), ("cdc-acm", 0x0525, 0xa4a7),
         ("hid", 0x0525, 0xa4ac), ("hid", 0x0525, 0xa4ac),
         ("dfu", 0x1209, 0x0001), ("hid", 0x0525, 0xa4ac)]
SOURCESINK, LOOP, PACED, ACM, HID, FIDO, DFU, KEYBOARD = range(1, 9)


def mod63(size, packet):
    return bytes(i % packet % 63 for i in range(size))


def noise(size):
    """Bytes that repeat so late that none can be out of place unseen."""
    block = b"".join(struct.pack("<I", i * 2654435761 & 0xffffffff)
                     for i in range(65521))
    return (block * (size // len(block) + 1))[:size]


class Check:
    def __init__(self, address, control, scale):
        self.address, self.scale = address, scale
        self.control = Control(control)

    def open(self, n, setting=0):
        device = Device(self.address, f"1-{n}" if n < 8 else f"2-{n - 7}")
        assert device.control(0x00, 9, 1)[0] == 0
        if setting:
            assert device.control(0x01, 11, setting, 0)[0] == 0
        return device

    def counters(self, n):
        return self.control("counters", n)["devices"][0]

    def listing(self):
        step("the list, and what it can be told without an import")
        listed = devlist(self.address)
        told = self.control("list")["devices"]
        assert len(listed) == len(told) == len(KINDS), listed
        for n, (kind, vendor, product) in enumerate(KINDS, 1):
            one = told[n - 1]
            assert (one["n"], one["kind"]) == (n, kind), one
            assert one["serial"] == f"{kind}-{n}"
            by_busid = {entry[0]: entry for entry in listed}
            assert by_busid[one["busid"]][1:3] == (vendor, product)
            self.compare_info(one)

    def compare_info(self, one):
        """DEVINFO's records are what the device itself answers."""
        _, info = devinfo(self.address, one["busid"])
        device = Device(self.address, one["busid"])
        assert devinfo(self.address, one["busid"])[1] == info
        assert {(1, 0), (2, 0), (3, 0), (3, 1), (3, 2), (3, 3)} <= set(info)
        for (kind, index), raw in info.items():
            answer = device.control(0x80, 6, kind << 8 | index,
                                    0x0409 if kind == 3 else 0, 4096)
            assert answer == (0, raw), (kind, index)
        assert info[3, 3][2:].decode("utf-16le") == one["serial"]
        device.close()
        wait_for(lambda: not self.imported(one["n"]))

    def imported(self, n):
        return self.control("list")["devices"][n - 1]["imported"]

    # ---- sourcesink ----

    def source_and_sink(self):
        step("bulk data from the source and to the sink, 32 transfers deep")
        device = self.open(SOURCESINK)
        total, size = (64 << 20) // self.scale, 65536
        pattern = mod63(size, 512)
        under_way = collections.deque()
        for _ in range(total // size):
            under_way.append((device.submit(0x81, length=size), pattern))
            under_way.append((device.submit(0x01, pattern), size))
            while len(under_way) >= 32:
                seq, wanted = under_way.popleft()
                assert device.wait(seq) == (0, wanted)
        for seq, wanted in under_way:
            assert device.wait(seq) == (0, wanted)
        count = self.counters(SOURCESINK)
        assert count["bytes_in"] == count["bytes_out"] == total // size * size
        assert count["mismatches"] == 0
        device.close()

    def sizes(self):
        step("short packets, empty ones, and a wrong one that stalls")
        device = self.open(SOURCESINK)
        before = self.counters(SOURCESINK)
        for size in (0, 1, 511, 512, 513, 1024, 65535):
            data = mod63(size, 512)
            assert device.bulk_out(0x01, data, 0x40) == (0, size)
        after = self.counters(SOURCESINK)
        assert after["zlps_in"] - before["zlps_in"] == 3
        assert after["packets_in"] - before["packets_in"] == 1 + 1 + 1 + 2 + \
            2 + 128
        assert device.bulk_in(0x81, 1000)[0] == -75
        wrong = bytearray(mod63(4096, 512))
        wrong[2000] ^= 1
        assert device.bulk_out(0x01, bytes(wrong)) == (-32, 1536)
        assert device.bulk_out(0x01, mod63(5, 512)) == (-32, 0)
        assert device.control(0x82, 0, 0, 0x01, 2) == (0, b"\1\0")
        assert device.control(0x02, 1, 0, 0x01)[0] == 0
        assert device.bulk_out(0x01, mod63(5, 512)) == (0, 5)
        assert self.counters(SOURCESINK)["mismatches"] == 1
        device.close()

    def buffer(self):
        step("the buffer behind the vendor's control requests")
        device = self.open(SOURCESINK)
        for size in (1, 64, 1000, 4096):
            data = noise(size)
            assert device.control(0x40, 0x5b, data=data) == (0, size)
            assert device.control(0xc0, 0x5c, length=size) == (0, data)
        assert device.control(0xc0, 0x5c, length=4097)[0] == -32
        device.close()

    def isochronous(self):
        step("isochronous transfers, as fast as they are asked for")
        device = self.open(SOURCESINK, 1)
        pattern = mod63(1024, 1024)
        for first in range(0, 512, 64):
            seq = device.submit_iso(0x82, [1024] * 8)
            status, data, frame, packets = device.wait(seq)
            assert (status, data) == (0, pattern * 8)
            assert frame == first, (frame, first)
            assert packets == [(1024, 0)] * 8
        seq = device.submit_iso(0x02, [1024, 0, 100],
                                pattern + pattern[:100])
        status, _, _, packets = device.wait(seq)
        assert status == 0 and packets == [(1024, 0), (0, 0), (100, 0)]
        status, data, _, packets = device.wait(
            device.submit_iso(0x82, [100, 1024]))
        assert packets == [(100, -75), (1024, 0)]
        assert data == pattern[:100] + pattern
        seq = device.submit_iso(0x02, [1025], bytes(1025))
        assert device.wait(seq)[0] == -22
        assert self.counters(SOURCESINK)["iso_mismatches"] == 0
        device.close()

    def isochronous_in_time(self):
        step("isochronous transfers at their own pace, and a cancelled one")
        device = self.open(PACED, 1)
        start = time.monotonic()
        seqs = [device.submit_iso(0x82, [1023] * 5) for _ in range(6)]
        assert device.wait_unlinked(device.unlink(seqs[5])) == -104
        frames = [device.wait(seq)[2] for seq in seqs[:5]]
        # Packets of 8 ms each at full speed.
        assert [b - a for a, b in zip(frames, frames[1:])] == [40] * 4
        assert time.monotonic() - start > 0.19
        device.close()

    def loop(self):
        step("64 MiB through the loop, whatever the transfers' sizes")
        device = self.open(LOOP)
        data = noise((64 << 20) // self.scale)
        reads = collections.deque(device.submit(0x81, length=32768)
                                  for _ in range(4))
        writes, at = collections.deque(), 0
        sizes = itertools.cycle([65536, 511, 1, 100000, 512])
        back = bytearray()
        while len(back) < len(data):
            while at < len(data) and len(writes) < 8:
                part = data[at:at + next(sizes)]
                writes.append((device.submit(0x01, part), len(part)))
                at += len(part)
            if reads[0] in device.done:
                status, part = device.wait(reads.popleft())
                assert status == 0
                back += part
                reads.append(device.submit(0x81, length=32768))
            elif writes and writes[0][0] in device.done:
                seq, size = writes.popleft()
                assert device.wait(seq) == (0, size)
            else:
                assert device.pump(10), "nothing moves"
        assert back == data
        device.close()

    def back_pressure(self):
        step("a loop that nobody empties takes so much and no more")
        device = self.open(LOOP)
        data = noise(1 << 20)
        seq = device.submit(0x01, data)
        wait_for(lambda: self.counters(LOOP)["held"] == 262144)
        assert not device.pump(0.1)
        # What it has taken is told, in spite of the unlink.
        assert device.wait_unlinked(device.unlink(seq)) == 0
        assert device.wait(seq) == (-104, 262144)
        got = b""
        while len(got) < 262144:
            got += device.bulk_in(0x81, 65536)[1]
        assert got == data[:262144]
        device.close()

    # ---- the others ----

    def serial_port(self):
        step("the serial port: echo, line coding, carrier, break")
        device = self.open(ACM)
        data = noise(100000)
        back = b""
        seq = device.submit(0x01, data)
        while len(back) < len(data):
            back += device.bulk_in(0x81, 16384)[1]
        assert device.wait(seq) == (0, len(data)) and back == data
        coding = struct.pack("<IBBB", 115200, 0, 0, 8)
        assert device.control(0x21, 0x20, data=coding) == (0, 7)
        assert device.control(0xa1, 0x21, length=7) == (0, coding)
        notice = device.submit(0x82, length=16)
        assert device.control(0x21, 0x22, 1)[0] == 0
        assert device.wait(notice) == (0, bytes.fromhex("a120000000000200"
                                                        "0300"))
        notice = device.submit(0x82, length=16)
        assert device.control(0x21, 0x23, 0xffff)[0] == 0
        assert device.wait(notice)[1][8] == 7
        device.close()

    def reports(self):
        step("HID: input reports in time, output reports, requests")
        device = self.open(HID)
        assert len(device.control(0x81, 6, 0x2200, 0, 255)[1]) == 29
        start = time.monotonic()
        for i in range(20):
            status, report = device.bulk_in(0x81, 8)
            assert (status, report[:4]) == (0, struct.pack("<I", i))
        assert 0.18 < time.monotonic() - start
        assert device.bulk_out(0x01, b"outgoing") == (0, 8)
        assert device.control(0xa1, 1, 0x0200, 0, 8) == (0, b"outgoing")
        assert device.control(0x21, 9, 0x0300, 0, data=b"features") == (0, 8)
        assert device.control(0xa1, 1, 0x0300, 0, 8) == (0, b"features")
        device.close()
        device = self.open(FIDO)
        assert device.control(0x81, 6, 0x2200, 0, 255)[1][:3] == \
            b"\x06\xd0\xf1"
        seq = device.submit(0x81, length=64)
        assert device.bulk_out(0x01, noise(64)) == (0, 64)
        assert device.wait(seq) == (0, noise(64))
        device.close()

    def keyboard(self):
        step("a keyboard that came configured, with its interface in the list")
        entry, info = devinfo(self.address, "2-1")
        assert entry[309] == 1 and entry[311] == 1
        assert info[2, 0][9 + 5:9 + 8] == b"\x03\x01\x01"
        device = Device(self.address, "2-1")
        assert device.control(0x80, 8, length=1) == (0, b"\1")
        seq = device.submit(0x81, length=8)
        assert not device.pump(0.1)
        assert device.control(0x21, 10, 0x0100)[0] == 0
        assert device.wait(seq) == (0, bytes(8))
        device.close()

    def status(self, device):
        state, raw = device.control(0xa1, 3, length=6)
        assert state == 0
        wait, = struct.unpack("<I", raw[1:4] + b"\0")
        end = time.monotonic() + wait / 1000
        while time.monotonic() < end:
            device.pump(end - time.monotonic())
        return raw[0], raw[4]

    def firmware(self):
        step("DFU: a download, an upload, and one that is too large")
        device = self.open(DFU)
        data = noise(65536)
        for block in range(16):
            part = data[block * 4096:(block + 1) * 4096]
            assert device.control(0x21, 1, block, data=part) == (0, 4096)
            while (now := self.status(device)) != (0, 5):
                assert now == (0, 4)
        assert device.control(0x21, 1, 16, data=b"x")[0] == -32
        assert self.status(device) == (8, 10)
        assert device.control(0x21, 4)[0] == 0
        back = b""
        while not len(back) % 4096:
            status, part = device.control(0xa1, 2, len(back) // 4096, 0, 4096)
            assert status == 0
            back += part
            if not part:
                break
        assert back == data
        device.close()

    # ---- what a tester does ----

    def meddling(self):
        step("hang, stall, slow and halt, and commands that are for phones")
        device = self.open(SOURCESINK)
        self.control.do("hang", SOURCESINK, "on")
        seq = device.submit(0x81, length=512)
        assert not device.pump(0.1)
        self.control.do("hang", SOURCESINK, "off")
        assert device.wait(seq)[0] == 0
        self.control.do("stall", SOURCESINK)
        seq = device.submit(0x81, length=512)
        assert device.control(0x80, 8, length=1) == (0, b"\1")
        assert not device.pump(0.1)
        self.control.do("resume", SOURCESINK)
        assert device.wait(seq)[0] == 0
        self.control.do("slow", SOURCESINK, 102400)
        start = time.monotonic()
        for _ in range(5):
            assert device.bulk_in(0x81, 5120)[0] == 0
        assert time.monotonic() - start > 0.19
        self.control.do("slow", SOURCESINK, 0)
        for name, endpoint in (("in", 0x81), ("0x01", 0x01)):
            self.control.do("halt", SOURCESINK, name)
            data = b"" if endpoint & 0x80 else bytes(1)
            assert device.wait(device.submit(endpoint, data))[0] == -32
            assert device.control(0x02, 1, 0, endpoint)[0] == 0
        for line in ("halt 1 0x82", "halt 1 0x", "halt 1 0x100", "halt 7 in",
                     "mute 1 on", "inject 1 00", "window 1 1", "seq 1 1",
                     "refuse 1 7", "plug 9"):
            assert "error" in self.control(line), line
        device.close()

    def plugging(self):
        step("every kind is unplugged while in use, and plugged in again")
        for n in range(1, len(KINDS) + 1):
            device = self.open(n)
            seq = device.submit(0x81, length=512)
            # Behind it, so that the device has got it.
            assert device.control(0x80, 0, 0, 0, length=2)[0] == 0
            self.control.do("unplug", n)
            until_gone(device)
            assert seq in device.done
            self.control.do("plug", n)
            wait_for(lambda n=n: self.control("list")["devices"][n - 1]
                     ["plugged"])
            self.open(n).close()
        self.control.do("reset", LOOP)
        wait_for(lambda: not self.control("list")["devices"][LOOP - 1]
                 ["plugged"])
        wait_for(lambda: self.control("list")["devices"][LOOP - 1]["plugged"])

    def vanishing(self):
        step("an importer that vanishes leaves a fresh device behind")
        device = self.open(LOOP)
        device.submit(0x01, bytes(1 << 20))
        device.close()
        wait_for(lambda: not self.imported(LOOP))
        assert self.control("list")["devices"][LOOP - 1]["configuration"] == 0
        device = self.open(LOOP)
        seq = device.submit(0x81, length=512)
        assert not device.pump(0.1)
        device.bulk_out(0x01, b"new")
        assert device.wait(seq) == (0, b"new")
        device.close()

    def run(self):
        self.listing()
        self.source_and_sink()
        self.sizes()
        self.buffer()
        self.isochronous()
        self.isochronous_in_time()
        self.loop()
        self.back_pressure()
        self.serial_port()
        self.reports()
        self.keyboard()
        self.firmware()
        self.meddling()
        self.plugging()
        self.vanishing()


def main():
    scale = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    Check(sys.argv[1], sys.argv[2], scale).run()


if __name__ == "__main__":
    main()
