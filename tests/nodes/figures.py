"""figures.py cold NODES | pods COUNT: what nodes and pods wait for, and what the control plane costs meanwhile.

`figures` runs it, where the API server is reached. What happens is seen by watches of this one process, so all times
are of one clock and end when a client could know.
"""

import collections
import glob
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
STATE = os.environ.get("STATE", "")
PLANE = ["monokube", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"]
PODS = "/api/v1/namespaces/figures/pods"
PAUSE = os.environ.get("PAUSE", "registry.k8s.io/pause:3.10.2")
AGNHOST = os.environ.get("AGNHOST", "registry.k8s.io/e2e-test-images/agnhost:2.63.0")
REPLICAS = 3
REST = int(os.environ.get("REST", 60))  # seconds without work

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "figures"}}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": ""},
       "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "pause", "image": PAUSE}]}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
           "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
              "spec": {"replicas": REPLICAS, "selector": {"matchLabels": {"app": "web"}},
                       "template": {"metadata": {"labels": {"app": "web"}},
                                    "spec": {"containers": [{"name": "web", "image": AGNHOST, "args": ["netexec"]}]}}}}


class Api:
    """The API server, as the administrator."""

    def __init__(self):
        view = subprocess.check_output(["kubectl", "config", "view", "--raw", "-o", "json"])
        config = json.loads(view)
        user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
        self.address = cluster["server"].removeprefix("https://")
        self.tls = ssl.create_default_context(cadata=decoded(cluster["certificate-authority-data"]))
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(decoded(user["client-certificate-data"]) + decoded(user["client-key-data"]))
            file.flush()
            self.tls.load_cert_chain(file.name)
        self.connection, self.used = None, 0

    def connect(self):
        return http.client.HTTPSConnection(self.address, context=self.tls, timeout=600)

    def request(self, method, path, body=None):
        """Status and answer, on one connection; on a new one after a rest, which ends it."""
        now = time.monotonic()
        if self.connection is None or now - self.used > 20:
            self.connection = self.connect()
        try:
            text = None if body is None else json.dumps(body)
            self.connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            self.used = now
            return answer.status, answer.read()
        except OSError:
            self.connection = None
            raise

    def create(self, path, body):
        status, answer = self.request("POST", path, body)
        assert status in (201, 409), answer

    def watch(self, path, see):
        """Calls SEE(time, type, object) for all that is there and all that happens, on a thread of its own."""

        def follow():
            connection = self.connect()
            connection.request("GET", path + "?watch=true")
            for line in connection.getresponse():
                now, event = time.monotonic(), json.loads(line)
                if event.get("type") not in ("ADDED", "MODIFIED", "DELETED"):
                    return  # stock's cache is not there yet
                see(now, event["type"], event["object"])

        def again():
            while True:
                answers(follow)
                time.sleep(0.02)

        threading.Thread(target=again, daemon=True).start()


def decoded(text):
    return subprocess.run(["base64", "-d"], input=text, stdout=subprocess.PIPE, text=True, check=True).stdout


def answers(probe):
    try:
        return probe()
    except OSError:
        return False


def until(condition, what, seconds=120, pause=0.005):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"no {what} in time"
        time.sleep(pause)
    return time.monotonic()


def condition(thing, kind):
    return any(each["type"] == kind and each["status"] == "True" for each in thing["status"].get("conditions", []))


class Log:
    """When what was first seen of each object: {(what, name): time}."""

    def __init__(self):
        self.times = {}

    def first(self, what, name, now, is_so=True):
        if is_so:
            self.times.setdefault((what, name), now)

    def of(self, what):
        return {name: now for (which, name), now in list(self.times.items()) if which == what}

    def longest(self, begin, end):
        """The longest time from one to the other, over all objects that have both."""
        begun, ended = self.of(begin), self.of(end)
        return max(ended[name] - begun[name] for name in ended)

    def csr(self, now, _, csr):
        self.first("request", csr["metadata"]["name"], now)
        self.first("certificate", csr["metadata"]["name"], now, "certificate" in csr["status"])

    def node(self, now, _, node):
        name, taints = node["metadata"]["name"], node["spec"].get("taints", [])
        self.first("node", name, now)
        self.first("podCIDR", name, now, "podCIDR" in node["spec"])
        self.first("node ready", name, now, condition(node, "Ready"))
        self.first("untainted", name, now, condition(node, "Ready") and not taints)

    def pod(self, now, kind, pod):
        name = pod["metadata"]["name"]
        self.first("pod", name, now)
        self.first("bound", name, now, "nodeName" in pod["spec"])
        self.first("running", name, now, pod["status"].get("phase") == "Running")
        self.first("pod ready", name, now, condition(pod, "Ready"))
        self.first("gone", name, now, kind == "DELETED")

    def slice(self, now, _, piece):
        for endpoint in piece["endpoints"] or []:
            if endpoint["conditions"].get("ready") and endpoint.get("targetRef"):
                self.first("endpoint", endpoint["targetRef"]["name"], now)


def spent():
    """CPU seconds and MiB in memory of each process of the control plane."""
    processes = {}
    for name in PLANE:
        for path in glob.glob(f"{STATE}/run/{name}.pid"):
            with open(path) as file:
                process = int(file.read())
            with open(f"/proc/{process}/stat") as file:
                user, system = file.read().rsplit(")", 1)[1].split()[11:13]
            with open(f"/proc/{process}/status") as file:
                resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
            processes[name] = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK"), resident / 1024
    return processes


def cost(what, before, seconds):
    """Prints what was spent since BEFORE, by each process and in all."""
    rows = [(name, cpu - before.get(name, (0, 0))[0], resident) for name, (cpu, resident) in spent().items()]
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    for name, cpu, resident in rows if len(rows) > 2 else rows[-1:]:
        print(f"{what}, {name}: {cpu:.2f} CPU s in {seconds:.1f} s ({cpu / seconds * 100:.2f} % of a core), {resident:.0f} MiB")


def script(*words):
    return subprocess.Popen([os.path.join(HERE, words[0]), *words[1:]], stdout=subprocess.DEVNULL)


def token():
    made = subprocess.check_output([os.environ["PROGRAM"], "token", "create", "--ttl", "24h", "--kubeconfig",
                                    os.environ["KUBECONFIG"]], text=True)
    with open(f"{STATE}/token", "w") as file:
        file.write(made)


def cold(nodes):
    """From nothing but keys and disks to a Deployment that answers through its Service."""
    api, log = Api(), Log()
    begun = time.monotonic()
    script("plane", "up", os.environ.get("CONTROL_PLANE", "monokube"))
    ready = until(lambda: answers(lambda: api.request("GET", "/readyz")[0] == 200), "answer of the API server")
    for path, see in [("/apis/certificates.k8s.io/v1/certificatesigningrequests", log.csr), ("/api/v1/nodes", log.node),
                      ("/api/v1/namespaces/default/pods", log.pod),
                      ("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", log.slice)]:
        api.watch(path, see)
    token()
    asked = time.monotonic()
    for index in range(1, nodes + 1):
        script("node", "up", f"node{index}", str(index))
    api.create("/api/v1/namespaces/default/services", SERVICE)
    _, service = api.request("GET", "/api/v1/namespaces/default/services/web")
    log.first("deployment", "web", time.monotonic())
    api.create("/apis/apps/v1/namespaces/default/deployments", DEPLOYMENT)
    made = until(lambda: len(log.of("pod")) == REPLICAS, "pods")
    until(lambda: len(log.of("endpoint")) == REPLICAS and len(log.of("node ready")) == nodes, "endpoints")
    address = json.loads(service)["spec"]["clusterIP"]
    done = until(lambda: answers(lambda: urllib.request.urlopen(f"http://{address}/hostname", timeout=1).status == 200), "answer")
    cost("cold", {}, done - begun)
    schedulable = min(log.of("untainted").values())
    bound = max(at - max(schedulable, log.of("pod")[name]) for name, at in log.of("bound").items())
    own = {"start to /readyz": ready - begun,
           "Deployment to its pods": made - log.of("deployment")["web"],
           "certificate request to certificate": log.longest("request", "certificate"),
           "node to its podCIDR": log.longest("node", "podCIDR"),
           "node ready to no taint": log.longest("node ready", "untainted"),
           "pod to its node, once there is one": bound,
           "pod ready to endpoint": log.longest("pod ready", "endpoint")}
    for what, seconds in own.items():
        print(f"cold, {what}: {seconds * 1000:.0f} ms")
    print(f"cold, all of these: {sum(own.values()) * 1000:.0f} ms; bootstrap token: {(asked - ready) * 1000:.0f} ms "
          "from /readyz on, its rights included")
    print(f"cold, nodes started: {asked - begun:.2f} s, last node ready {max(log.of('node ready').values()) - begun:.2f} s, "
          f"last pod ready {max(log.of('pod ready').values()) - begun:.2f} s, Service answered {done - begun:.2f} s")


def report(what, seconds):
    seconds, count = sorted(seconds), len(seconds)
    print(f"{what}: p50 {seconds[count // 2] * 1000:.0f} ms, p99 {seconds[count * 99 // 100] * 1000:.0f} ms, "
          f"least {seconds[0] * 1000:.0f} ms, most {seconds[-1] * 1000:.0f} ms")


def rest(what):
    before, begun = spent(), time.monotonic()
    time.sleep(REST)
    cost(what, before, time.monotonic() - begun)


def run(api, log, what, count, at_once):
    """Creates COUNT pods, AT_ONCE of them on the way; prints their times."""
    name = f"{what}-%d".replace(" ", "-")
    before, begun, asked = spent(), time.monotonic(), {}

    def running():
        return [each for each in log.of("running") if each in asked]

    for index in range(count):
        until(lambda: len(asked) - len(running()) < at_once, f"{what} pod", pause=0.001)
        POD["metadata"]["name"] = name % index
        asked[name % index] = time.monotonic()
        api.create(PODS, POD)
    done = until(lambda: len(running()) == count, f"{what} pods", 300, 0.02)
    for begin, end in [("pod", "bound"), ("bound", "running")]:
        begun_at, ended = log.of(begin), log.of(end)
        report(f"{what}, {begin} to {end}", [ended[each] - begun_at[each] for each in asked])
    report(f"{what}, created to running", [log.of("running")[each] - asked[each] for each in asked])
    print(f"{what}: {done - begun:.1f} s for {count} pods")
    cost(what, before, done - begun)
    return list(asked)


def delete(api, log, names):
    status, answer = api.request("DELETE", PODS)
    assert status == 200, answer
    until(lambda: all(name in log.of("gone") for name in names), "end of pods", 300, 0.1)


def pods(count):
    """COUNT pods one after the other, a rest with them, and as many at once."""
    api, log = Api(), Log()
    api.create("/api/v1/namespaces", NAMESPACE)
    until(lambda: api.request("GET", "/api/v1/namespaces/figures/serviceaccounts/default")[0] == 200, "service account")
    api.watch(PODS, log.pod)
    rest("rest without pods")
    names = run(api, log, "one by one", count, 1)
    rest(f"rest with {count} pods")
    before, begun = spent(), time.monotonic()
    delete(api, log, names)
    cost(f"end of {count} pods", before, time.monotonic() - begun)
    names = run(api, log, "all at once", count, count)
    delete(api, log, names)
    api.request("DELETE", "/api/v1/namespaces/figures")


if __name__ == "__main__":
    {"cold": cold, "pods": pods}[sys.argv[1]](int(sys.argv[2]))
