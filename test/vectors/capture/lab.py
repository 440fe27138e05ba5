# SPDX-License-Identifier: GPL-2.0-or-later
"""Three members on the loopback of a network namespace, and a tap that hears them.

Runs inside namespaces that `capture.py` made: whatever is mounted or started here ends with
them.
"""

import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

import packets

PORT = 9929
ADDRESS = {"A": "10.99.0.10", "B": "10.99.0.11", "X": "10.99.0.12"}
TYPE = {"A": "site", "B": "site", "X": "arbitrator"}
KEY = b"boothlab-vector-key-0123456789"
OTHER_KEY = b"boothlab-another-key-987654321"

FAKE_CRM_TICKET = """#!/bin/sh
# There is no ticket yet, and every write succeeds.
case " $* " in *" -q "*) exit 6 ;; esac
exit 0
"""
HANDLER = """#!/bin/sh
test ! -e /etc/booth/handler-fails
"""


class Tap(threading.Thread):
    """Records every IPv4 packet from or to the port on loopback, once."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.socket.bind(("lo", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.heard, self.begin, self.stopped = [], time.time(), False

    def run(self):
        while not self.stopped:
            if not select.select([self.socket], [], [], 0.2)[0]:
                continue
            frame, (_, _, kind, _, _) = self.socket.recvfrom(65536)
            if kind != socket.PACKET_HOST:
                continue
            packet = frame[14:]
            head = (packet[0] & 15) * 4
            packet = packet[: int.from_bytes(packet[2:4], "big")]
            ends = [".".join(str(byte) for byte in packet[i : i + 4]) for i in (12, 16)]
            rest = packet[head:]
            ports = [int.from_bytes(rest[i : i + 2], "big") for i in (0, 2)]
            if PORT not in ports or packet[9] not in (6, 17):
                continue
            data = rest[8:] if packet[9] == 17 else rest[(rest[12] >> 4) * 4 :]
            if data:
                at = round(time.time() - self.begin, 4)
                self.heard.append((at, packet[9], tuple(ends), tuple(ports), data))


class Lab:
    """One session: members that run the reference, and members that a script plays."""

    def __init__(self, root, work, keyed, scripted="", ticket="", server_key=KEY, mode=""):
        self.root, self.work, self.scripted = root, work, scripted
        self.key = KEY if keyed else None
        self.server_key = server_key if keyed else None
        self.ticket, self.mode = ticket, mode
        self.daemons, self.cli, self.sockets, self.seen = {}, [], {}, []
        self.tap = Tap()

    def config(self):
        lines = ["transport = UDP", f"port = {PORT}"]
        if self.key:
            lines.append('authfile = "/etc/booth/key"')
        lines += [f'{TYPE[name]} = "{ADDRESS[name]}"' for name in "ABX"]
        lines += ['ticket = "T"', "  expire = 10", "  timeout = 1", "  retries = 3"]
        return "\n".join(lines) + "\n" + self.ticket

    def start(self):
        self.tap.start()
        for name in "ABX":
            root = self.make_root(name)
            if name in self.scripted:
                self.sockets[name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self.sockets[name].bind((ADDRESS[name], PORT))
            else:
                self.daemons[name] = self.spawn(root, name)
        self.until("all daemons answer", lambda: all(map(self.answers, self.daemons)))

    def make_root(self, name):
        """An overlay over the reference's root, with a configuration and a fake crm_ticket."""
        base = os.path.join(self.work, name)
        upper, inner, root = (os.path.join(base, part) for part in ("upper", "inner", "root"))
        for folder in (upper, inner, root):
            os.makedirs(folder)
        options = f"lowerdir={self.root},upperdir={upper},workdir={inner}"
        run("mount", "-t", "overlay", "booth", "-o", options, root)
        for special in ("dev", "proc"):
            run("mount", "--rbind", f"/{special}", f"{root}/{special}")
        os.makedirs(f"{root}/etc/booth", exist_ok=True)
        os.makedirs(f"{root}/run/booth", exist_ok=True)
        os.chmod(f"{root}/run/booth", 0o777)
        write(f"{root}/etc/booth/booth.conf", self.config().encode(), 0o644)
        write(f"{root}/etc/booth/key", self.server_key or KEY, 0o600)
        write(f"{root}/etc/booth/client.conf", self.config().encode(), 0o644)
        write(f"{root}/usr/sbin/crm_ticket", FAKE_CRM_TICKET.encode(), 0o755)
        write(f"{root}/etc/booth/handler", HANDLER.encode(), 0o755)
        return root

    def path(self, name, inside):
        return os.path.join(self.work, name, "root", inside.lstrip("/"))

    def spawn(self, root, name):
        log = open(os.path.join(self.work, f"{name}.log"), "wb")
        command = ["chroot", root, "boothd", "daemon", "-D", "-S", "-c", "booth"]
        command += ["-l", f"/run/booth/{name}.pid", "-s", ADDRESS[name]]
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def answers(self, name):
        if self.daemons[name].poll() is not None:
            raise SystemExit(f"{name} has ended: see {self.work}/{name}.log")
        packet = packets.build(None, "CLst", packets.site_id(ADDRESS[name]), "", 0, 0, 0)
        return len(ask(name, packet)) >= packets.HEADER_LEN

    def stop(self):
        for daemon in self.daemons.values():
            daemon.send_signal(signal.SIGCONT)
            daemon.terminate()
        for daemon in self.daemons.values():
            daemon.wait(10)
        time.sleep(0.5)
        self.tap.stopped = True
        self.tap.join()

    def pause(self, name):
        self.daemons[name].send_signal(signal.SIGSTOP)

    def go_on(self, name):
        self.daemons[name].send_signal(signal.SIGCONT)

    def run_client(self, who, *command):
        """Runs a client of the reference at a member and records what it says."""
        full = ["chroot", self.path(who, "/")] + list(command)
        done = subprocess.run(full, capture_output=True, timeout=60, check=False)
        said = {"who": who, "cmd": list(command), "rc": done.returncode}
        said["out"], said["err"] = done.stdout.decode(), plain_log(done.stderr.decode())
        self.cli.append(said)
        return said

    def send(self, name, to, cmd, leader, term, valid_for=5, **fields):
        """Sends a packet as a scripted member."""
        sender = packets.site_id(ADDRESS[name])
        packet = packets.build(self.key, cmd, sender, "T", leader, term, valid_for, **fields)
        self.sockets[name].sendto(packet, (ADDRESS[to], PORT))

    def heard(self, sender, cmd, begin=0.0, **fields):
        """Fields of the packets that a member sent since `begin`, in the order of time."""
        found = []
        for at, protocol, ends, _, data in list(self.tap.heard):
            if protocol != 17 or ends[0] != ADDRESS[sender] or at < begin:
                continue
            said = packets.fields_of(data, self.key, False)
            if said["cmd_s"] == cmd and all(said[k] == v for k, v in fields.items()):
                found.append(said)
        return found

    def now(self):
        return time.time() - self.tap.begin

    def until(self, what, condition, limit=30):
        end = time.time() + limit
        while not condition():
            if time.time() > end:
                raise SystemExit(f"not within {limit} s: {what}; logs in {self.work}")
            time.sleep(0.05)

    def messages(self):
        """What was heard in the vectors' form: two of each kind, nothing that a script sent."""
        names = {address: name for name, address in ADDRESS.items()}
        kept, count, streams = [], {}, {}
        for at, protocol, ends, ports, data in self.tap.heard:
            if protocol == 6:
                client = ports[1] == PORT
                key = (ends[0], ports[0]) if client else (ends[1], ports[1])
                stream = streams.setdefault(key, {"t": at, "ends": None, "c": b"", "s": b""})
                stream["c" if client else "s"] += data
                if client:
                    stream["ends"] = ends
                continue
            if names[ends[0]] in self.scripted:
                continue
            message = {"t": at, "proto": "udp", "from": names[ends[0]], "to": names[ends[1]]}
            message["hex"], message["fields"] = data.hex(), packets.fields_of(data, self.key, 0)
            if self.is_new(count, kind(message["fields"])):
                kept.append(message)
        for stream in streams.values():
            message = self.connection(stream, names)
            kinds = [kind(part["fields"]) for part in message["request"] + message["reply"]]
            if message["cli"] and self.is_new(count, tuple(kinds)):
                del message["cli"]
                kept.append(message)
        return sorted(kept, key=lambda message: message["t"])

    def connection(self, stream, names):
        # The lab itself asks whether a daemon answers, from the daemon's own address.
        client, server = (names[end] for end in stream["ends"])
        message = {"t": stream["t"], "proto": "tcp", "client": client, "server": server}
        message["request"] = packets.split(stream["c"], self.key, False)
        message["reply"] = packets.split(stream["s"], self.key, True)
        own = int.from_bytes(stream["c"][44:48], "big") == LAB_MARK
        message["cli"] = not own
        return message

    @staticmethod
    def is_new(count, key):
        count[key] = count.get(key, 0) + 1
        return count[key] <= 2


# In the field `result` of a request, which a server does not read.
LAB_MARK = 0x4C616221


def ask(name, packet, tail=b"", limit=2.0):
    """What a daemon answers to a request, until it closes; nothing if it does not listen."""
    packet = packet[:44] + LAB_MARK.to_bytes(4, "big") + packet[48:]
    answer = b""
    try:
        with socket.create_connection((ADDRESS[name], PORT), timeout=limit) as connection:
            connection.sendall(packet + tail)
            while data := connection.recv(65536):
                answer += data
    except OSError:
        pass
    return answer


def kind(fields):
    if fields is None:
        return None
    names = ("cmd", "request", "reason", "result", "options")
    leader = fields.get("ticket", {}).get("leader")
    none = {packets.NOBODY: "nobody", 0: "unknown", None: "-"}.get(leader, "somebody")
    return tuple(fields[name] for name in names) + (none,)


def plain_log(text):
    """Standard error without time stamps, host and process numbers."""
    text = re.sub(r"(?m)^\w{3} +\d+ [\d:]{8} \S+ ", "", text)
    return re.sub(r"(?m)^(\w+): ?\[\d+\]: ", r"\1: ", text)


def run(*command):
    subprocess.run(command, check=True)


def write(path, content, mode):
    if os.path.lexists(path):
        os.remove(path)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)
