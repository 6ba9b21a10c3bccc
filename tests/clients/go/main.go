// What programs on client-go do, against the server of $KUBECONFIG: typed and dynamic clients, server-side apply,
// an informer, leader election. Each step is a function; the first that fails ends the program.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/util/retry"
)

const namespace = "client-go"

type world struct {
	ctx     context.Context
	config  *rest.Config
	typed   kubernetes.Interface
	dynamic dynamic.Interface
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	must("kubeconfig", err)
	config.QPS, config.Burst = -1, -1
	w := world{ctx, config, kubernetes.NewForConfigOrDie(config), dynamic.NewForConfigOrDie(config)}
	steps := []struct {
		name string
		run  func(world) error
	}{
		{"namespace", makeNamespace},
		{"typed client, in JSON and in protobuf", typed},
		{"conflicts are retried", conflicts},
		{"server-side apply", apply},
		{"dynamic client and a custom resource", custom},
		{"informer", informer},
		{"leader election", elect},
	}
	for _, step := range steps {
		must(step.name, step.run(w))
		fmt.Println("ok", step.name)
	}
}

func must(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "failed: %s: %v\n", what, err)
		os.Exit(1)
	}
}

func makeNamespace(w world) error {
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	_, err := w.typed.CoreV1().Namespaces().Create(w.ctx, object, metav1.CreateOptions{})
	return err
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
}

func typed(w world) error {
	protobuf := rest.CopyConfig(w.config)
	protobuf.ContentType, protobuf.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf"
	for form, client := range map[string]kubernetes.Interface{"json": w.typed, "protobuf": kubernetes.NewForConfigOrDie(protobuf)} {
		maps := client.CoreV1().ConfigMaps(namespace)
		made, err := maps.Create(w.ctx, configMap(form, map[string]string{"a": "1"}), metav1.CreateOptions{})
		if err != nil {
			return err
		}
		if _, err = maps.Create(w.ctx, configMap(form, nil), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("a second create: %v", err)
		}
		made.Data["b"] = "2"
		if made, err = maps.Update(w.ctx, made, metav1.UpdateOptions{}); err != nil {
			return err
		}
		patched, err := maps.Patch(w.ctx, form, types.MergePatchType, []byte(`{"data":{"a":null}}`), metav1.PatchOptions{})
		if err != nil || len(patched.Data) != 1 || patched.Data["b"] != "2" || patched.UID != made.UID {
			return fmt.Errorf("patched %v: %v", patched, err)
		}
		if err = maps.Delete(w.ctx, form, metav1.DeleteOptions{}); err != nil {
			return err
		}
		if _, err = maps.Get(w.ctx, form, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("get after delete: %v", err)
		}
	}
	return nil
}

func conflicts(w world) error {
	maps := w.typed.CoreV1().ConfigMaps(namespace)
	if _, err := maps.Create(w.ctx, configMap("counter", map[string]string{}), metav1.CreateOptions{}); err != nil {
		return err
	}
	const writers = 8
	done := make(chan error, writers)
	for n := range writers {
		go func() {
			backoff := wait.Backoff{Steps: 50, Duration: time.Millisecond, Factor: 1.2, Jitter: 0.5}
			done <- retry.RetryOnConflict(backoff, func() error {
				current, err := maps.Get(w.ctx, "counter", metav1.GetOptions{})
				if err != nil {
					return err
				}
				if current.Data == nil {
					current.Data = map[string]string{}
				}
				current.Data[fmt.Sprint(n)] = "done"
				_, err = maps.Update(w.ctx, current, metav1.UpdateOptions{})
				return err
			})
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			return err
		}
	}
	final, err := maps.Get(w.ctx, "counter", metav1.GetOptions{})
	if err != nil || len(final.Data) != writers {
		return fmt.Errorf("%d of %d writes are left: %v", len(final.Data), writers, err)
	}
	return nil
}

func apply(w world) error {
	maps := w.typed.CoreV1().ConfigMaps(namespace)
	wanted := func(value string) *corev1apply.ConfigMapApplyConfiguration {
		return corev1apply.ConfigMap("applied", namespace).WithData(map[string]string{"k": value})
	}
	if _, err := maps.Apply(w.ctx, wanted("1"), metav1.ApplyOptions{FieldManager: "one"}); err != nil {
		return err
	}
	if _, err := maps.Apply(w.ctx, wanted("2"), metav1.ApplyOptions{FieldManager: "two"}); !apierrors.IsConflict(err) {
		return fmt.Errorf("another manager's field: %v", err)
	}
	forced, err := maps.Apply(w.ctx, wanted("2"), metav1.ApplyOptions{FieldManager: "two", Force: true})
	if err != nil || forced.Data["k"] != "2" {
		return fmt.Errorf("by force %v: %v", forced, err)
	}
	extracted, err := corev1apply.ExtractConfigMap(forced, "two")
	if err != nil || extracted.Data["k"] != "2" {
		return fmt.Errorf("extracted %v: %v", extracted, err)
	}
	return nil
}

func custom(w world) error {
	definitions := w.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	field := map[string]any{"type": "object", "properties": map[string]any{"spec": map[string]any{
		"type": "object", "properties": map[string]any{"size": map[string]any{"type": "integer", "default": int64(3), "maximum": int64(9)}},
	}}}
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "wells.client-go.example"},
		"spec": map[string]any{
			"group": "client-go.example", "scope": "Namespaced",
			"names":    map[string]any{"plural": "wells", "singular": "well", "kind": "Well"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": field}}},
		},
	}}
	if _, err := definitions.Create(w.ctx, definition, metav1.CreateOptions{}); err != nil {
		return err
	}
	wells := w.dynamic.Resource(schema.GroupVersionResource{Group: "client-go.example", Version: "v1", Resource: "wells"}).Namespace(namespace)
	well := func(name string, spec map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "client-go.example/v1", "kind": "Well", "metadata": map[string]any{"name": name}, "spec": spec,
		}}
	}
	var made *unstructured.Unstructured
	err := wait.PollUntilContextCancel(w.ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		var err error
		made, err = wells.Create(ctx, well("a", map[string]any{}), metav1.CreateOptions{})
		return err == nil, ignoreNotFound(err)
	})
	if err != nil {
		return err
	}
	if size, _, _ := unstructured.NestedInt64(made.Object, "spec", "size"); size != 3 {
		return fmt.Errorf("the default is %d", size)
	}
	if _, err := wells.Create(w.ctx, well("b", map[string]any{"size": int64(10)}), metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		return fmt.Errorf("beyond the maximum: %v", err)
	}
	return definitions.Delete(w.ctx, "wells.client-go.example", metav1.DeleteOptions{})
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func informer(w world) error {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	factory := informers.NewSharedInformerFactoryWithOptions(w.typed, 0, informers.WithNamespace(namespace))
	sets := factory.Apps().V1().ReplicaSets()
	seen := make(chan string, 100)
	_, err := sets.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { seen <- "add " + object.(*appsv1.ReplicaSet).Name },
		DeleteFunc: func(any) { seen <- "delete" },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), sets.Informer().HasSynced) {
		return fmt.Errorf("never synced")
	}
	labels := map[string]string{"app": "x"}
	set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "watched"}, Spec: appsv1.ReplicaSetSpec{
		Replicas: new(int32), Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		},
	}}
	if _, err := w.typed.AppsV1().ReplicaSets(namespace).Create(ctx, set, metav1.CreateOptions{}); err != nil {
		return err
	}
	if event := <-seen; event != "add watched" {
		return fmt.Errorf("saw %q", event)
	}
	if _, err := sets.Lister().ReplicaSets(namespace).Get("watched"); err != nil {
		return err
	}
	if err := w.typed.AppsV1().ReplicaSets(namespace).Delete(ctx, "watched", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if event := <-seen; event != "delete" {
		return fmt.Errorf("saw %q", event)
	}
	return nil
}

func elect(w world) error {
	for _, who := range []string{"first", "second"} {
		ctx, cancel := context.WithCancel(w.ctx)
		lock := &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: "leader", Namespace: namespace},
			Client:     w.typed.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: who},
		}
		led := false
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: 3 * time.Second, RenewDeadline: 2 * time.Second, RetryPeriod: 100 * time.Millisecond,
			ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { led = true; cancel() },
				OnStoppedLeading: func() {},
			},
		})
		cancel()
		if !led {
			return fmt.Errorf("%s never led", who)
		}
	}
	lease, err := w.typed.CoordinationV1().Leases(namespace).Get(w.ctx, "leader", metav1.GetOptions{})
	if err != nil || lease.Spec.LeaseTransitions == nil || *lease.Spec.LeaseTransitions < 1 {
		return fmt.Errorf("the lease %v: %v", lease, err)
	}
	return nil
}
