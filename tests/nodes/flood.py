"""flood.py CERTIFICATE NODE PROCESS: a kubelet's credential that writes a large status again and again, and holds watches
that it does not read. What the control plane keeps of it is bounded, and others are answered meanwhile.
"""

import json
import os
import socket
import sys
import threading
import time

from figures import Api

WATCHES = 100
WRITES = 300
TEXT = "x" * 100_000
MOST_MEMORY = 256  # MiB more; all that is not read would be 3 GiB
MOST_WAIT = 1.0  # seconds for a request of somebody else


def resident(process):
    with open(f"/proc/{process}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024


def main():
    certificate, node, process = sys.argv[1:]
    admin, kubelet = Api(), Api()
    kubelet.tls.load_cert_chain(certificate)
    host, port = kubelet.address.split(":")
    held = []
    for _ in range(WATCHES):
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect((host, int(port)))
        watch = kubelet.tls.wrap_socket(plain, server_hostname=host)
        watch.sendall(f"GET /api/v1/nodes?watch=true&fieldSelector=metadata.name%3D{node} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert b" 200 " in watch.recv(100)
        held.append(watch)
    before, most, codes = resident(process), 0, set()
    status = f"/api/v1/nodes/{node}/status"

    def write():
        for count in range(WRITES):
            connection.request("PATCH", status, json.dumps({"status": {"conditions": [
                {"type": "Flood", "status": "True", "message": f"{count} {TEXT}"}]}}),
                {"Content-Type": "application/strategic-merge-patch+json"})
            answer = connection.getresponse()
            answer.read()
            codes.add(answer.status)

    connection = kubelet.connect()
    writing = threading.Thread(target=write)
    begun, waits = time.monotonic(), []
    writing.start()
    while writing.is_alive():
        asked = time.monotonic()
        assert admin.request("GET", "/api/v1/namespaces/default")[0] == 200
        waits.append(time.monotonic() - asked)
        most = max(most, resident(process))
        time.sleep(0.02)
    waits.sort()
    print(f"{WRITES} statuses of {len(TEXT)} bytes in {time.monotonic() - begun:.1f} s, answered {sorted(codes)}; {WATCHES} watches unread")
    print(f"memory {before:.0f} MiB before, {most:.0f} at most, {resident(process):.0f} after; others waited "
          f"{waits[len(waits) // 2] * 1000:.1f} ms, {waits[-1] * 1000:.0f} at most")
    clean = {"status": {"conditions": [{"type": "Flood", "$patch": "delete"}]}}
    connection.request("PATCH", status, json.dumps(clean), {"Content-Type": "application/strategic-merge-patch+json"})
    connection.getresponse().read()
    assert most - before < MOST_MEMORY and waits[-1] < MOST_WAIT, "not bounded"
    os._exit(0)


main()
