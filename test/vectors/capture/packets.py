# SPDX-License-Identifier: GPL-2.0-or-later
"""Booth packets as bytes and as the fields that the vectors record."""

import hashlib
import hmac
import struct
import time
import zlib

MAGIC, VERSION, NOBODY = 0x5F1BA08C, 0x00010003, 0xFFFFFFFF
HEADER = "opts secs usecs magic version from length cmd request options reason result".split()
HEADER_LEN, MAC_LEN, TICKET_LEN, ATTR_LEN = 48, 28, 76, 256
TEXTS = ("RLst", "AGet", "ALst")


def site_id(address):
    return zlib.crc32(bytes(int(part) for part in address.split("."))) & 0x7FFFFFFF


def code(text):
    return int.from_bytes(text.encode(), "big") if text else 0


def letters(number):
    raw = number.to_bytes(4, "big")
    return raw.decode() if all(33 <= byte < 127 for byte in raw) else number


def build(key, cmd, sender, ticket, leader, term, valid_for, payload=None, **fields):
    """A packet of a scripted member or client; without a payload it has that of a ticket."""
    if payload is None:
        payload = ticket.encode().ljust(64, b"\0") + struct.pack(">3I", leader, term, valid_for)
    now = time.time()
    values = dict.fromkeys(HEADER, 0)
    values.update(magic=MAGIC, version=VERSION, cmd=code(cmd), length=HEADER_LEN + len(payload))
    values["from"] = sender
    if key:
        values.update(opts=1, secs=int(now), usecs=int(now % 1 * 1e6))
        values["length"] += MAC_LEN
    values.update(fields)
    packet = struct.pack(">12I", *(values[name] for name in HEADER)) + payload
    return packet + mac(key, packet) if key else packet


def mac(key, covered):
    return struct.pack(">I", 2) + hmac.new(key, covered, hashlib.sha1).digest() + bytes(4)


def text_of(raw):
    return raw.split(b"\0", 1)[0].decode()


def fields_of(packet, key, answer):
    """The fields of one whole packet; `answer`: from a server to a client."""
    values = dict(zip(HEADER, struct.unpack(">12I", packet[:HEADER_LEN])))
    fields = dict(values)
    for name in ("cmd", "request", "reason", "result"):
        fields[name + "_s"] = letters(values[name])
    sealed = values["opts"] & 1
    body = packet[HEADER_LEN:]
    has_text = answer and (letters(values["cmd"]) in TEXTS or len(body) in (0, MAC_LEN))
    at = HEADER_LEN if has_text else len(packet) - MAC_LEN
    if sealed:
        trailer = packet[at : at + MAC_LEN]
        body = body[MAC_LEN:] if has_text else body[:-MAC_LEN]
    if has_text:
        fields["text"] = body.decode()
    elif len(body) == TICKET_LEN:
        leader, term, valid_for = struct.unpack(">3I", body[64:])
        fields["ticket"] = {
            "id": text_of(body[:64]),
            "leader": leader,
            "term": term,
            "term_valid_for": valid_for,
        }
    elif len(body) == ATTR_LEN:
        names = text_of(body[:64]), text_of(body[64:128]), text_of(body[128:])
        fields["attr"] = dict(zip(("tkt_id", "name", "val"), names))
    else:
        raise ValueError(f"a payload of {len(body)} bytes: {packet.hex()}")
    fields["hmac_check"] = None
    if sealed:
        fields["hmac"] = {"hid": int.from_bytes(trailer[:4], "big"), "hash": trailer[4:].hex()}
        right = bool(key) and trailer == mac(key, packet[:at])
        fields["hmac_check"] = {"covers": at, "at": at, "ok": right}
    return fields


def split(stream, key, answer):
    """The packets of one direction of a connection; bytes that belong to none have no fields."""
    packets = []
    while stream:
        if len(stream) >= HEADER_LEN and int.from_bytes(stream[12:16], "big") == MAGIC:
            length = int.from_bytes(stream[24:28], "big")
            packet, stream = stream[:length], stream[length:]
            packets.append({"hex": packet.hex(), "fields": fields_of(packet, key, answer)})
        else:
            packets.append({"hex": stream.hex(), "fields": None})
            stream = b""
    return packets
