"""figures.py RUN_DIRECTORY PODS: how long pods take from their creation to Running, with images that are there, and
what the control plane takes meanwhile. PODS come one after the other, five at a time. Run it where kubectl reaches it.
"""

import glob
import json
import os
import subprocess
import sys
import time

PLANE = ["monokube", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"]
AT_A_TIME = 5
NAMESPACE = "figures"
POD = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "", "namespace": NAMESPACE},
    "spec": {"terminationGracePeriodSeconds": 0,
             "containers": [{"name": "pause", "image": os.environ.get("PAUSE", "registry.k8s.io/pause:3.10.2")}]},
}


def kubectl(*words, **options):
    return subprocess.run(["kubectl", *words], check=True, stdout=subprocess.DEVNULL, text=True, **options)


def processes(directory):
    for name in PLANE:
        for path in glob.glob(os.path.join(directory, name + ".pid")):
            with open(path) as file:
                yield name, int(file.read())


def spent(process):
    """CPU seconds of a process, and the MiB that it has in memory."""
    with open(f"/proc/{process}/stat") as file:
        user, system = file.read().rsplit(")", 1)[1].split()[11:13]
    with open(f"/proc/{process}/status") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK"), resident / 1024


def events(watch):
    """Time, name and phase of each event of a pod."""
    for line in watch.stdout:
        pod = json.loads(line)["object"]
        yield time.monotonic(), pod["metadata"]["name"], pod["status"].get("phase")


def measure(count):
    watch = subprocess.Popen(["kubectl", "-n", NAMESPACE, "get", "pods", "--watch", "--output-watch-events", "-o", "json"],
                             stdout=subprocess.PIPE, text=True)
    created, running, asked = {}, {}, 0
    stream = events(watch)
    while len(running) < count:
        while asked < count and asked - len(running) < AT_A_TIME:
            POD["metadata"]["name"] = f"pod-{asked}"
            kubectl("create", "-f", "-", input=json.dumps(POD))
            asked += 1
        now, name, phase = next(stream)
        created.setdefault(name, now)
        if phase == "Running":
            running.setdefault(name, now)
    watch.kill()
    return sorted(running[name] - created[name] for name in running)


def main():
    plane, count = list(processes(sys.argv[1])), int(sys.argv[2])
    kubectl("create", "namespace", NAMESPACE)
    begun, before = time.monotonic(), {name: spent(process)[0] for name, process in plane}
    seconds = measure(count)
    took = time.monotonic() - begun
    print(f"created to Running, {count} pods: p50 {seconds[count // 2]:.2f} s, p99 {seconds[count * 99 // 100]:.2f} s")
    for name, process in plane:
        cpu, resident = spent(process)
        print(f"{name}: {cpu - before[name]:.1f} CPU s in {took:.0f} s, {resident:.0f} MiB")
    kubectl("delete", "namespace", NAMESPACE)


main()
