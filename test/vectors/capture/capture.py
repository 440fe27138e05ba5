#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures packets of the C reference that daily use does not show (see README.md).

usage (as root): capture.py ROOT OUT [CASE...]
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import packets
from lab import ADDRESS, OTHER_KEY, Lab

B_ID = packets.site_id(ADDRESS["B"])
NOBODY = packets.NOBODY
HANDLER = '  before-acquire-handler = "/etc/booth/handler"\n'
MANUAL = 'ticket = "M"\n  mode = manual\n  expire = 10\n  timeout = 1\n  retries = 3\n'


def granted_to_a(lab):
    """Grants T to A at once and returns the term."""
    begin = lab.now()
    lab.run_client("A", "booth", "grant", "-F", "-w", "-s", ADDRESS["A"], "T")
    lab.until("A sends UPDATE", lambda: lab.heard("A", "UpdE", begin))
    return lab.heard("A", "UpdE", begin)[-1]["ticket"]["term"]


def reject(lab):
    """A second leader, and vote requests for a ticket that is not lost."""
    granted_to_a(lab)
    lab.run_client("A", "booth", "revoke", "-s", ADDRESS["A"], "T")
    lab.until("the revoke is repeated to B", lambda: len(lab.heard("A", "Revk")) >= 5)
    term = granted_to_a(lab)
    if term == 0:
        sys.exit("the second grant has the term of the first: there is no older one")
    sent = [
        # Only a follower tells a second leader that its term is outdated; a leader is silent.
        ("X", "HrtB", term - 1, "TOdt"),
        ("X", "UpdE", term - 1, "TVld"),
        ("X", "RVot", term - 1, "TVld"),
        ("A", "HrtB", term, "TVld"),
        ("A", "UpdE", term, "TVld"),
        ("A", "RVot", term + 1, "TVld"),
    ]
    for to, cmd, sent_term, result in sent:
        begin, lost = lab.now(), packets.code("TLst" if cmd == "RVot" else "")
        lab.send("B", to, cmd, B_ID, sent_term, reason=lost)
        answer = {"request_s": cmd, "result_s": result}
        lab.until(f"{to} rejects {cmd}", lambda: lab.heard(to, "RJC!", begin, **answer))


def outdated(lab):
    """A vote request for a lost ticket, after it was revoked."""
    term = granted_to_a(lab)
    lab.run_client("A", "booth", "revoke", "-w", "-s", ADDRESS["A"], "T")
    lab.until("A sends REVOKE", lambda: lab.heard("A", "Revk"))
    time.sleep(1)
    for to in "AX":
        lab.send("B", to, "RVot", B_ID, term + 1, reason=packets.code("TLst"))
        lab.until(f"{to} says outdated", lambda: lab.heard(to, "RJC!", result_s="Outd"))


def manual(lab):
    """A manual ticket that both sites hold."""
    grant, revoke = ("booth", "grant"), ("booth", "revoke")
    for command in (grant, revoke, grant):
        lab.run_client("X", *command, "-s", ADDRESS["A"], "M")
        time.sleep(0.5)
    lab.run_client("X", *grant, "-s", ADDRESS["B"], "M")
    lab.run_client("X", *grant, "-w", "-F", "-s", ADDRESS["B"], "M")
    lab.until("B claims M", lambda: lab.heard("B", "HrtB"))
    time.sleep(1)
    for server in "ABX":
        lab.run_client("X", "booth", "list", "-s", ADDRESS[server])
    lab.run_client("X", *revoke, "-s", ADDRESS["A"], "M")
    time.sleep(1)
    for server in "ABX":
        lab.run_client("X", "booth", "list", "-s", ADDRESS[server])
    lab.run_client("X", *revoke, "-s", ADDRESS["B"], "M")
    time.sleep(1)


def resend(lab):
    """Everything that is repeated to a member that does not answer."""
    granted_to_a(lab)
    open(lab.path("A", "/etc/booth/handler-fails"), "w").close()
    lab.until(
        "the step-down is repeated",
        lambda: len(lab.heard("A", "VtFr", request=0)) >= 4,
    )
    os.remove(lab.path("A", "/etc/booth/handler-fails"))
    time.sleep(3)
    granted_to_a(lab)
    lab.run_client("A", "booth", "revoke", "-s", ADDRESS["A"], "T")
    lab.until("the revoke is repeated", lambda: len(lab.heard("A", "Revk")) >= 5)


def again(lab):
    """An election that nobody answers."""
    lab.pause("X")
    lab.run_client("A", "booth", "grant", "-s", ADDRESS["A"], "T")
    lab.until("A asks again", lambda: len(lab.heard("A", "RVot")) >= 8)
    lab.go_on("X")
    lab.until("A wins", lambda: lab.heard("A", "UpdE"))
    lab.run_client("X", "booth", "grant", "-s", ADDRESS["X"], "T")


def index(lab):
    """STATUS and MY_INDEX of another term, to a leader and to a follower."""
    term = granted_to_a(lab)
    for to in "AX":
        begin = lab.now()
        lab.send("B", to, "Stat", NOBODY, 0, 0)
        lab.until(f"{to} answers", lambda: lab.heard(to, "MIdx", begin))
        lab.send("B", to, "MIdx", NOBODY, 0, 0, request=packets.code("Stat"))
        time.sleep(1)
        lab.send("B", to, "MIdx", B_ID, term, 9, request=packets.code("Stat"))
        time.sleep(1)


def otherkey(lab):
    """Clients and daemons that do not agree about the key."""
    for who in "AX":
        with open(lab.path(who, "/etc/booth/key"), "wb") as file:
            file.write(OTHER_KEY)
    for command in (["list"], ["grant", "T"], ["revoke", "T"], ["peers"]):
        lab.run_client("X", "booth", command[0], "-s", ADDRESS["A"], *command[1:])
    time.sleep(0.5)


CASES = {
    # name: (what to do, members that the script plays, further configuration, note)
    "reject": (reject, "B", "", "B is a script: a second leader, and a candidate for a ticket that is held"),
    "outdated": (outdated, "B", "", "B is a script: stands for a ticket that was revoked: Outd"),
    "manual": (manual, "", MANUAL, "a manual ticket granted at both sites"),
    "resend": (resend, "B", HANDLER, "B is a script that never answers: repetitions"),
    "again": (again, "B", "", "B never answers and X is stopped: elections are repeated"),
    "index": (index, "B", "", "B is a script: STATUS and MY_INDEX of other terms"),
    "otherkey": (otherkey, "", "", "clients with another key than the daemons"),
}


def capture(root, out, name, keyed):
    what, scripted, ticket, note = CASES[name]
    label = f"{name}-{'auth' if keyed else 'plain'}"
    work = tempfile.mkdtemp(prefix=f"booth-capture-{label}-")
    lab = Lab(root, work, keyed, scripted, ticket)
    try:
        lab.start()
        what(lab)
    finally:
        lab.stop()
    content = {
        "what": name,
        "note": note,
        "auth_key_hex": lab.key.hex() if keyed else None,
        "auth_key_ascii": lab.key.decode() if keyed else None,
        "members": {
            who: {"type": kind, "addr": ADDRESS[who], "id": packets.site_id(ADDRESS[who])}
            for who, kind in (("A", "site"), ("B", "site"), ("X", "arbitrator"))
        },
        "config_of_A": lab.config(),
        "captured_from": "c12",
        "cli": lab.cli,
        "messages": lab.messages(),
    }
    save(os.path.join(out, f"c12-{label}.json"), content)
    for who in "ABX":
        for inner in ("dev", "proc", ""):
            subprocess.run(["umount", "-R", "-l", f"{work}/{who}/root/{inner}"], check=False,
                           stderr=subprocess.DEVNULL)
    shutil.rmtree(work)
    print(f"c12-{label}.json: {len(content['messages'])} messages")


def save(path, content):
    """Writes JSON with one message a line, as in the other vectors."""
    lines = []
    for key, value in content.items():
        if key in ("cli", "messages"):
            rows = ",\n  ".join(json.dumps(row) for row in value)
            lines.append(f' "{key}": [\n  {rows}\n ]' if value else f' "{key}": []')
        else:
            lines.append(f' "{key}": {json.dumps(value)}')
    with open(path, "w", encoding="ascii") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


def inside(root, out, names):
    for command in (
        ["mount", "--make-rprivate", "/"],
        ["ip", "link", "set", "lo", "up"],
        *(["ip", "address", "add", f"{address}/32", "dev", "lo"] for address in ADDRESS.values()),
    ):
        subprocess.run(command, check=True)
    for name in names:
        for keyed in (True,) if name == "otherkey" else (False, True):
            capture(root, out, name, keyed)


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["--inside"]:
        inside(arguments[1], arguments[2], arguments[3:])
        return
    if len(arguments) < 2 or os.geteuid() != 0:
        sys.exit(__doc__)
    root, out = (os.path.abspath(argument) for argument in arguments[:2])
    names = arguments[2:] or list(CASES)
    unknown = [name for name in names if name not in CASES]
    if unknown:
        sys.exit(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    spaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = spaces + [sys.executable, os.path.abspath(__file__), "--inside", root, out] + names
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
