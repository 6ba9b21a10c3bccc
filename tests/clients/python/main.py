"""What programs on Kubernetes' Python client do, against the server of $KUBECONFIG."""

import sys

from kubernetes import client, config, dynamic, utils, watch

NAMESPACE = "python"


def refused(status, reason, call, *args, **kwargs):
    """The call is answered with this status and reason."""
    try:
        call(*args, **kwargs)
    except client.ApiException as error:
        assert error.status == status and f'"reason":"{reason}"' in error.body, error
        return
    raise AssertionError(f"{call} was not refused")


def config_maps(core):
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a", labels={"k": "v"}), data={"x": "1"})
    made = core.create_namespaced_config_map(NAMESPACE, body)
    refused(409, "AlreadyExists", core.create_namespaced_config_map, NAMESPACE, body)
    made.data["y"] = "2"
    core.replace_namespaced_config_map("a", NAMESPACE, made)
    refused(409, "Conflict", core.replace_namespaced_config_map, "a", NAMESPACE, made)
    patched = core.patch_namespaced_config_map("a", NAMESPACE, {"data": {"x": None}})
    assert patched.data == {"y": "2"}, patched.data
    bad = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="No Name"))
    refused(422, "Invalid", core.create_namespaced_config_map, NAMESPACE, bad)
    found = core.list_namespaced_config_map(NAMESPACE, label_selector="k=v")
    assert [item.metadata.name for item in found.items] == ["a"]


def pages(core):
    for number in range(7):
        core.create_namespaced_secret(NAMESPACE, client.V1Secret(metadata=client.V1ObjectMeta(name=f"s{number}")))
    names, token = [], None
    while True:
        page = core.list_namespaced_secret(NAMESPACE, limit=3, _continue=token)
        assert len(page.items) <= 3
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"s{number}" for number in range(7)], names
    core.delete_collection_namespaced_secret(NAMESPACE)
    assert core.list_namespaced_secret(NAMESPACE).items == []


def watches(core):
    since = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    core.patch_namespaced_config_map("a", NAMESPACE, {"data": {"z": "3"}})
    core.delete_namespaced_config_map("a", NAMESPACE)
    seen = []
    stream = watch.Watch()
    for event in stream.stream(core.list_namespaced_config_map, NAMESPACE, resource_version=since, timeout_seconds=20):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 2:
            stream.stop()
    assert seen == [("MODIFIED", "a"), ("DELETED", "a")], seen


def workloads(api):
    """A Deployment from YAML's shape makes its ReplicaSet."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    utils.create_from_dict(
        api,
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec},
        namespace=NAMESPACE,
    )
    apps = client.AppsV1Api(api)
    stream = watch.Watch()
    for event in stream.stream(apps.list_namespaced_deployment, NAMESPACE, timeout_seconds=30):
        if event["object"].status.observed_generation == 1:
            stream.stop()
    scale = apps.patch_namespaced_deployment_scale("web", NAMESPACE, {"spec": {"replicas": 5}})
    assert scale.spec.replicas == 5
    assert apps.read_namespaced_deployment("web", NAMESPACE).spec.replicas == 5


def tokens(core, api):
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
    stream = watch.Watch()
    for event in stream.stream(core.list_namespaced_service_account, NAMESPACE, timeout_seconds=20):
        if event["object"].metadata.name == "default":
            stream.stop()
    token = core.create_namespaced_service_account_token("default", NAMESPACE, request).status.token
    review = client.V1TokenReview(spec=client.V1TokenReviewSpec(token=token))
    status = client.AuthenticationV1Api(api).create_token_review(review).status
    assert status.authenticated and status.user.username == f"system:serviceaccount:{NAMESPACE}:default", status


def discovered(api):
    """The dynamic client finds resources by discovery."""
    resources = dynamic.DynamicClient(api).resources
    leases = resources.get(api_version="coordination.k8s.io/v1", kind="Lease")
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
    leases.server_side_apply(body=body, namespace=NAMESPACE, field_manager="python")
    assert leases.get(name="l", namespace=NAMESPACE).metadata.managedFields[0].operation == "Apply"


def main():
    config.load_kube_config()
    api = client.ApiClient()
    core = client.CoreV1Api(api)
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    for name, step in [
        ("config maps", lambda: config_maps(core)),
        ("pages and delete collection", lambda: pages(core)),
        ("watches", lambda: watches(core)),
        ("a deployment and its scale", lambda: workloads(api)),
        ("tokens", lambda: tokens(core, api)),
        ("the dynamic client", lambda: discovered(api)),
    ]:
        step()
        print("ok", name)


if __name__ == "__main__":
    sys.exit(main())
