"""drain.py PROCESS: what was begun before SIGTERM is answered, who comes later is not let in.

A create whose body comes in two halves, with the signal between them.
"""

import json
import os
import signal
import socket
import sys
import time

from figures import Api

BODY = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "drain-"}}).encode()


def main():
    process = int(sys.argv[1])
    api = Api()
    host, port = api.address.split(":")
    connection = api.tls.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host)
    watch = api.connect()
    watch.request("GET", "/api/v1/configmaps?watch=true")
    watching = watch.getresponse()
    connection.sendall(b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                       b"Content-Length: %d\r\n\r\n%s" % (host.encode(), len(BODY), BODY[:20]))
    time.sleep(0.5)
    begun = time.monotonic()
    os.kill(process, signal.SIGTERM)
    time.sleep(1)
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
        raise AssertionError("somebody is let in after SIGTERM")
    except ConnectionRefusedError:
        print("nobody else is let in")
    connection.sendall(BODY[20:])
    answer = connection.recv(4096).split(b"\r\n")[0].decode()
    print("a create that was under way:", answer)
    while watching.readline():
        pass
    print(f"the watch ended {time.monotonic() - begun:.1f} s after SIGTERM")
    while os.path.exists(f"/proc/{process}") and "Z" not in open(f"/proc/{process}/stat").read().split(")")[1][:3]:
        assert time.monotonic() - begun < 70, "it does not end"
        time.sleep(0.05)
    print(f"the program ended {time.monotonic() - begun:.1f} s after SIGTERM")
    assert " 201 " in answer, answer


main()
