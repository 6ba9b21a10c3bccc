"""unit.py UNIT PROGRAM DIRECTORY: runs what a unit of systemd says as systemd would, without it: its command with its
variables, as a user of its own, told of by a socket. It is ready when it says so, and ends well by SIGTERM.
"""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time

USER = 65532
PORT = "7443"


def setting(unit, name):
    with open(unit) as file:
        return next(line.split("=", 1)[1].strip() for line in file if line.startswith(name + "="))


def main():
    unit, program, directory = sys.argv[1:]
    os.makedirs(directory, mode=0o700)
    os.chown(directory, USER, USER)
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind("\0monokube-unit")
    told.settimeout(20)
    values = {"${STATE_DIRECTORY}": directory, "$MONOKUBE_FLAGS": f"--secure-port={PORT}"}
    command = [values.get(word, word) for word in shlex.split(setting(unit, "ExecStart"))]
    begun = time.monotonic()
    process = subprocess.Popen([program, *command[1:]], user=USER, group=USER, extra_groups=[],
                               umask=int(setting(unit, "UMask"), 8), cwd="/", env={"NOTIFY_SOCKET": "@monokube-unit"})
    said = told.recv(4096).decode().split("\n")
    assert "READY=1" in said, said
    print(f"READY=1 after {(time.monotonic() - begun) * 1000:.0f} ms")
    socket.create_connection(("127.0.0.1", int(PORT))).close()
    process.send_signal(signal.SIGTERM)
    said = told.recv(4096).decode().split("\n")
    assert "STOPPING=1" in said, said
    code = process.wait(int(setting(unit, "TimeoutStopSec")))
    assert code == 0, code
    modes = {name: oct(os.stat(os.path.join(directory, name)).st_mode & 0o777) for name in os.listdir(directory)}
    assert all(mode in ("0o600", "0o700") for mode in modes.values()), modes
    print(f"STOPPING=1, then the end with {code}; nobody else reads what it keeps")


main()
