#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts five phones of one muxphone through their paces, without the daemon.

    phone_check.py ADDRESS CONTROL-SOCKET MUX-VERSION
    phone_check.py ADDRESS CONTROL-SOCKET MUX-VERSION violate

The second form only breaks a rule, once.
"""
import json
import plistlib
import select
import socket
import struct
import sys
import time

from usbip_probe import (Conn, Device, Gone, Host, bring_up, chargen, devlist)

GREETING = b"muxphone: at your service\r\n"
ENDED = (Gone, ConnectionError)


class Control:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.file = self.sock.makefile("rw")

    def __call__(self, *words):
        self.file.write(" ".join(map(str, words)) + "\n")
        self.file.flush()
        return json.loads(self.file.readline())

    def do(self, *words):
        answer = self(*words)
        assert answer == {"ok": True}, (words, answer)

    def phone(self, n):
        return self("list")["phones"][n - 1]

    def counters(self, n):
        return self("counters", n)["phones"][0]


def step(text):
    print(text, flush=True)


def wait_for(claim, seconds=10):
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "waited in vain"
        select.select([], [], [], 0.01)


def settle(device, conn=None):
    """Takes what is under way, until nothing more comes."""
    while conn is not None:
        try:
            conn.host.step(0.2)
        except TimeoutError:
            conn = None
    while device.pump(0.2):
        pass


def until_gone(device):
    try:
        while device.pump(10):
            pass
    except ENDED:
        return
    raise AssertionError("the import goes on")


class Check:
    def __init__(self, address, control, version):
        self.address, self.version = address, version
        self.path = control
        self.control = Control(control)

    def plugged(self):
        return {entry[0]: entry for entry in devlist(self.address)}

    def bring_up(self, n, cut=None):
        device = Device(self.address, f"1-{n}")
        return device, bring_up(device, self.version, cut)

    # ---- what a host sees ----

    def listing(self):
        step("five phones are listed, and one importer each is let in")
        for _, vendor, product, _, configurations in self.plugged().values():
            assert (vendor, product, configurations) == (0x05ac, 0x12a8, 4)
        assert len(self.plugged()) == 5
        device = Device(self.address, "1-1")
        assert len(self.plugged()) == 4
        try:
            Device(self.address, "1-1")
            raise AssertionError("a second importer was let in")
        except OSError as error:
            assert error.args[0] == 2, error
        assert self.control.phone(1)["imported"]
        assert Control(self.path).phone(1)["imported"]
        assert device.control(0x80, 8, length=1) == (0, b"\0")
        assert device.control(0xc0, 0x45, length=4) == (0, b"\3\3\3\0")
        assert device.control(0x80, 6, 0x0300 | 200, 0x0409, 255)[0] == -32
        assert device.string(2) == "iPhone"
        device.close()

    def echo_sizes(self, cut):
        step(f"echo of packets around the multiples, in URBs of {cut or 'any size'}")
        device, host = self.bring_up(1, cut)
        conn = host.connect(7)
        head = 28 if self.version == 1 else 36
        for size in (1, 511, 512, 513, 1024, 2048, 16383, 16384, 16385, 32768,
                     40000, 49151, 49152, 49153, 65024, 65535):
            data = chargen(max(size - head, 1))
            conn.send(data, 65535)
            assert conn.receive(len(data)) == data, size
        data = chargen(300000)
        conn.send(data)
        assert conn.receive(len(data)) == data
        conn.close()
        device.close()

    def services(self):
        step("the services behind the ports")
        device, host = self.bring_up(2)
        assert host.connect(13).until_reset() == chargen(100000)
        for port in (1, 2):
            conn = host.connect(port)
            assert conn.receive(len(GREETING)) == GREETING
            conn.send(b"hello")
            assert conn.receive(5) == b"hello"
        conn = host.connect(9)
        conn.send(chargen(500000))
        while conn.una != conn.snd:
            host.step()
        conn = host.connect(19)
        assert conn.receive(2000000) == chargen(2000000)
        device.close()

    def lockdown(self):
        step("lockdown, in both kinds of property list")
        device, host = self.bring_up(2)
        conn = host.connect(62078)
        udid = self.control.phone(2)["udid"]
        assert device.string(3) == udid.replace("-", "")
        for form in (plistlib.FMT_XML, plistlib.FMT_BINARY):
            answer = conn.lockdown({"Request": "QueryType"}, form)
            assert answer["Type"] == "com.apple.mobile.lockdown"
            answer = conn.lockdown({"Request": "GetValue"}, form)
            assert answer["Value"]["UniqueDeviceID"] == udid
            answer = conn.lockdown({"Request": "StartService",
                                    "Service": "org.muxd.echo"}, form)
            assert answer["Port"] == 7
        device.close()

    # ---- what a tester does ----

    def holding_up(self):
        step("stalled, hung and slow phones lose nothing")
        device, host = self.bring_up(1)
        conn = host.connect(7)
        settle(device)
        self.control.do("stall 1")
        host.tcp(conn, 0x10, b"stalled", seq=conn.snd)
        conn.snd += 7
        assert not device.pump(0.2)
        assert device.control(0x80, 8, length=1) == (0, b"\4")
        self.control.do("resume 1")
        assert conn.receive(7) == b"stalled"

        settle(device)
        self.control.do("hang 1 on")
        setup = struct.pack("<BBHHH", 0x80, 8, 0, 0, 1)
        seq = device.submit(0x80, length=1, setup=setup)
        assert not device.pump(0.2)
        assert device.wait_unlinked(device.unlink(seq)) == -104
        self.control.do("hang 1 off")
        conn.send(b"again")
        assert conn.receive(5) == b"again"

        self.control.do("slow 1 100000")
        start = time.monotonic()
        conn.send(chargen(40000))
        assert conn.receive(40000) == chargen(40000)
        assert time.monotonic() - start > 0.3
        self.control.do("slow 1 0")

        self.control.do("halt 1 in")
        for seq in list(host.reads):
            assert device.wait(seq)[0] == -32
        host.reads.clear()
        assert device.control(0x02, 1, 0, 0x85)[0] == 0
        for _ in range(host.READS):
            host.read_more()
        conn.send(b"unhalted")
        assert conn.receive(8) == b"unhalted"
        device.close()

    def connections(self):
        step("windows, refusals and first sequence numbers")
        device, host = self.bring_up(1)
        conn = host.connect(7)
        self.control.do("window 1 4096")
        settle(device, conn)
        assert conn.room() == 4096, conn.room()
        conn.send(chargen(100000))
        assert conn.receive(100000) == chargen(100000)
        self.control.do("window 1 0")
        settle(device, conn)
        assert conn.room() == 0
        self.control.do("window 1 131072")
        conn.send(b"open again")
        assert conn.receive(10) == b"open again"

        self.control.do("refuse 1 9")
        refused = Conn(host, 200, 9, 4096)
        host.conns[200] = refused
        host.tcp(refused, 0x02, seq=0, ack=0)
        while refused.state == "syn":
            host.step()
        assert b"failure 61" in refused.reason
        self.control.do("refuse 1 9 off")
        host.connect(9, sport=201)

        self.control.do("seq 1 4294967290")
        conn = host.connect(7, sport=202)
        conn.send(b"round the corner")
        assert conn.receive(16) == b"round the corner"
        self.control.do("seq 1 0")
        device.close()

    def injecting(self):
        step("injected transfers come as they are")
        device, host = self.bring_up(5)
        settle(device)
        while host.reads[0] in device.done:
            assert device.wait(host.reads.popleft())[0] == 0
        for size in (1, 512, 16384, 131072):
            self.control.do("inject 5", "5a" * size)
            got, last = b"", host.READ_SIZE
            while last == host.READ_SIZE:
                host.read_more()
                status, part = device.wait(host.reads.popleft())
                assert status == 0
                got, last = got + part, len(part)
            assert got == b"\x5a" * size, (len(got), size)
        assert "error" in self.control("inject 5", "5a" * 131073)
        assert "error" in self.control("inject 5 5")
        device.close()

    def muted(self):
        step("a muted phone does not answer VERSION, and does when it can hear")
        self.control.do("mute 4 on")
        device = Device(self.address, "1-4")
        patience, Host.patience = Host.patience, 0.3
        try:
            bring_up(device, self.version)
            raise AssertionError("it was answered")
        except TimeoutError:
            pass
        Host.patience = patience
        device.close()
        self.control.do("mute 4 off")
        wait_for(lambda: not self.control.phone(4)["imported"])
        device, _ = self.bring_up(4)
        device.close()

    # ---- coming and going ----

    def modes(self):
        step("a change of mode: the phone leaves, and comes back with it")
        device, _ = self.bring_up(1)
        address = self.control.phone(1)
        assert device.control(0xc0, 0x52, 0, 3, 1) == (0, b"\0")
        until_gone(device)
        wait_for(lambda: "1-1" in self.plugged())
        assert self.plugged()["1-1"][4] == 5
        device, host = self.bring_up(1)
        assert device.control(0xc0, 0x45, length=4) == (0, b"\5\3\3\0")
        assert device.control(0x80, 8, length=1) == (0, b"\5")
        host.connect(7).close()
        self.control.do("reset 1")
        until_gone(device)
        wait_for(lambda: self.control.phone(1)["plugged"])
        assert self.control.phone(1)["mode"] == address["mode"] == 1

    def port_reset(self):
        step("a reset by the host ends the session and the configuration")
        device, host = self.bring_up(4)
        assert device.control(0x23, 3, 4, 1)[0] == 0
        assert device.wait(host.reads[-1])[0] == -108
        assert device.control(0x80, 8, length=1) == (0, b"\0")
        assert self.control.counters(4)["resets"] == 1
        bring_up(device, self.version)
        device.close()

    def plugging(self):
        step("unplugged while data is under way, and plugged in again")
        device, host = self.bring_up(1)
        conn = host.connect(19)
        conn.receive(100000)
        self.control.do("unplug 1")
        try:
            while True:
                conn.receive(100000)
        except ENDED:
            pass
        assert not self.control.phone(1)["plugged"]
        wait_for(lambda: len(self.plugged()) == 4)
        self.control.do("plug 1")
        wait_for(lambda: len(self.plugged()) == 5)
        for _ in range(20):
            self.control.do("unplug 2")
            self.control.do("plug 2")
        wait_for(lambda: self.control.phone(2)["plugged"])

    def vanishing(self):
        step("an importer that vanishes leaves a fresh phone behind")
        for _ in range(5):
            device, host = self.bring_up(3)
            host.connect(19)
            device.close()
        wait_for(lambda: not self.control.phone(3)["imported"])
        assert self.control.phone(3)["connections"] == 0
        assert self.control.phone(3)["configuration"] == 0

    def nonsense(self):
        step("commands that are none are answered with an error")
        for line in ("", "list 3", "plug", "plug 99", "plug 0", "plug x",
                     "slow 1", "mute 1 maybe", "refuse 1 70000", "x" * 5000,
                     "window 1 1 1", "hang 1 on on on on on"):
            assert "error" in self.control(line), line

    def run(self):
        self.listing()
        for cut in (None, 16384, 1024):
            self.echo_sizes(cut)
        self.services()
        self.lockdown()
        self.holding_up()
        self.connections()
        self.injecting()
        self.muted()
        self.modes()
        self.port_reset()
        self.plugging()
        self.vanishing()
        self.nonsense()

    def violate(self):
        step("flags that the protocol does not have")
        device, host = self.bring_up(1)
        host.tcp(host.connect(7), 0x18)
        wait_for(lambda: self.control.counters(1)["violations"] == 1)
        assert self.control.counters(1)["by_kind"]["flags"] == 1
        device.close()


def main():
    check = Check(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    if sys.argv[4:] == ["violate"]:
        check.violate()
    else:
        check.run()


if __name__ == "__main__":
    main()
