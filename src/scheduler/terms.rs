//! What pods say of nodes and of other pods, made ready to be matched.

use std::sync::Arc;

use compact_str::CompactString;
use smallvec::SmallVec;

use super::view::{NodeAffinityView, NodeTermView, PodTermView, RequirementView, TaintView, TolerationView};
use crate::model::selector::label::Selector;
use crate::model::value::Value;

/// Labels in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Vec<(CompactString, CompactString)>);

impl Labels {
    pub const EMPTY: Self = Self(Vec::new());

    pub fn new<K: Into<CompactString>, V: Into<CompactString>>(labels: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut all: Vec<_> = labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        all.sort();
        Self(all)
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn match_by(&self, selector: &Selector) -> bool {
        selector.matches_by(|key| self.get(key))
    }

    /// Whether it has all of these.
    pub fn include(&self, wanted: &Labels) -> bool {
        wanted.iter().all(|(key, value)| self.get(key) == Some(value))
    }
}

/// A selector from a `LabelSelector`; one that cannot be read selects nothing.
pub fn selector(value: &Value) -> Selector {
    Selector::of_object(value).unwrap_or_else(|_| Selector::nothing())
}

/// What a pod requires of a node: all of the labels, and one of the terms where there are any.
#[derive(Clone, Debug, Default)]
pub struct RequiredNode {
    pub labels: Labels,
    /// `None`: no affinity is required.
    pub terms: Option<Vec<NodeTerm>>,
}

/// One term: all of its requirements. One without any matches nothing.
#[derive(Clone, Debug, Default)]
pub struct NodeTerm {
    expressions: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Clone, Debug)]
struct Requirement {
    key: CompactString,
    operator: CompactString,
    values: Vec<CompactString>,
}

impl RequiredNode {
    pub fn new(labels: Labels, affinity: &NodeAffinityView) -> Self {
        let terms = affinity.required.as_ref().map(|r| r.node_selector_terms.iter().map(NodeTerm::new).collect());
        Self { labels, terms }
    }

    pub fn is_any(&self) -> bool {
        self.labels.is_empty() && self.terms.is_none()
    }

    pub fn matches(&self, node: &str, labels: &Labels) -> bool {
        labels.include(&self.labels)
            && self.terms.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches(node, labels)))
    }

    /// The only nodes that can match, where the terms name them. The inner error: two requirements of one term exclude
    /// each other.
    pub fn names(&self) -> Option<Vec<CompactString>> {
        let terms = self.terms.as_ref().filter(|terms| !terms.is_empty())?;
        let mut all: Vec<CompactString> = Vec::new();
        for term in terms {
            let mut of_term: Option<Vec<CompactString>> = None;
            for field in term.fields.iter().filter(|f| f.key == "metadata.name" && f.operator == "In") {
                let both = match of_term {
                    None => field.values.clone(),
                    Some(known) => known.into_iter().filter(|name| field.values.contains(name)).collect(),
                };
                of_term = Some(both);
            }
            all.extend(of_term?);
        }
        all.sort();
        all.dedup();
        Some(all)
    }
}

impl NodeTerm {
    pub fn new(view: &NodeTermView) -> Self {
        let all = |views: &[RequirementView]| views.iter().map(Requirement::new).collect();
        Self { expressions: all(&view.match_expressions), fields: all(&view.match_fields) }
    }

    pub fn is_empty(&self) -> bool {
        self.expressions.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, node: &str, labels: &Labels) -> bool {
        !self.is_empty()
            && self.expressions.iter().all(|wanted| wanted.matches(labels.get(&wanted.key)))
            && self.fields.iter().all(|wanted| wanted.matches((wanted.key == "metadata.name").then_some(node)))
    }
}

impl Requirement {
    fn new(view: &RequirementView) -> Self {
        let values = view.values.iter().map(|value| value.as_str().into()).collect();
        Self { key: view.key.as_str().into(), operator: view.operator.as_str().into(), values }
    }

    fn matches(&self, value: Option<&str>) -> bool {
        let is_one = |value: &str| self.values.iter().any(|known| known == value);
        let compare = |is: fn(&i64, &i64) -> bool| {
            let value = value.and_then(|value| value.parse::<i64>().ok());
            let bound = self.values.first().and_then(|bound| bound.parse::<i64>().ok());
            value.zip(bound).is_some_and(|(value, bound)| is(&value, &bound))
        };
        match self.operator.as_str() {
            "In" => value.is_some_and(is_one),
            "NotIn" => !value.is_some_and(is_one),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            "Gt" => compare(i64::gt),
            "Lt" => compare(i64::lt),
            _ => false,
        }
    }
}

/// One term of affinity or anti-affinity to pods.
#[derive(Clone, Debug)]
pub struct PodTerm {
    pub namespaces: SmallVec<[CompactString; 1]>,
    /// Further namespaces, by their labels; `None`: no further ones.
    pub by_labels: Option<Arc<Selector>>,
    pub selector: Arc<Selector>,
    pub topology: CompactString,
}

impl PodTerm {
    /// Without namespaces and selector of namespaces it means the pod's own one.
    pub fn new(view: &PodTermView, own: &str) -> Self {
        let mut namespaces: SmallVec<[CompactString; 1]> =
            view.namespaces.iter().map(|name| name.as_str().into()).collect();
        if namespaces.is_empty() && view.namespace_selector.is_null() {
            namespaces.push(own.into());
        }
        let by_labels = (!view.namespace_selector.is_null()).then(|| Arc::new(selector(&view.namespace_selector)));
        let topology = view.topology_key.as_str().into();
        Self { namespaces, by_labels, selector: Arc::new(selector(&view.label_selector)), topology }
    }

    /// Whether it speaks of a pod with these labels in a namespace with those.
    pub fn matches(&self, namespace: &str, of_namespace: &Labels, labels: &Labels) -> bool {
        let is_there = self.namespaces.iter().any(|known| known == namespace)
            || self.by_labels.as_ref().is_some_and(|selector| of_namespace.match_by(selector));
        is_there && labels.match_by(&self.selector)
    }
}

/// Whether the toleration tolerates the taint.
pub fn tolerates(toleration: &TolerationView, taint: &TaintView) -> bool {
    (toleration.effect.is_empty() || toleration.effect == taint.effect)
        && (toleration.key.is_empty() || toleration.key == taint.key)
        && match toleration.operator.as_str() {
            "" | "Equal" => toleration.value == taint.value,
            "Exists" => true,
            _ => false,
        }
}

/// The first taint of these effects that nothing tolerates.
pub fn untolerated<'a>(
    taints: &'a [TaintView],
    tolerations: &[TolerationView],
    effects: &[&str],
) -> Option<&'a TaintView> {
    let counts = |taint: &&TaintView| effects.contains(&taint.effect.as_str());
    taints.iter().filter(counts).find(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}

/// The effects that keep pods off a node.
pub const HARD: &[&str] = &["NoSchedule", "NoExecute"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, from_value, json};

    fn required(value: Value) -> RequiredNode {
        let view: NodeAffinityView =
            from_value(&json!({"requiredDuringSchedulingIgnoredDuringExecution": value})).expect("a view");
        RequiredNode::new(Labels::default(), &view)
    }

    #[test]
    fn nodes_are_matched_by_labels_and_name() {
        let labels = Labels::new([("zone", "a"), ("cores", "8")]);
        let term = |key: &str, operator: &str, values: &[&str]| {
            let wanted = json!({"key": key, "operator": operator, "values": values});
            required(json!({"nodeSelectorTerms": [{"matchExpressions": [wanted]}]})).matches("n1", &labels)
        };
        assert!(term("zone", "In", &["a", "b"]) && !term("zone", "In", &["b"]) && !term("rack", "In", &["a"]));
        assert!(term("rack", "NotIn", &["a"]) && term("zone", "Exists", &[]) && term("rack", "DoesNotExist", &[]));
        assert!(term("cores", "Gt", &["4"]) && !term("cores", "Lt", &["8"]) && !term("zone", "Gt", &["1"]));
        assert!(!required(json!({"nodeSelectorTerms": [{}]})).matches("n1", &labels), "an empty term matches nothing");
        let named = json!({"key": "metadata.name", "operator": "In", "values": ["n1"]});
        let named = required(json!({"nodeSelectorTerms": [{"matchFields": [named]}]}));
        assert!(named.matches("n1", &labels) && !named.matches("n2", &labels));
        assert_eq!(named.names(), Some(vec!["n1".into()]));
    }

    #[test]
    fn terms_without_namespaces_mean_the_own_one() {
        let view = |value: Value| -> PodTermView { from_value(&value).expect("a term") };
        let all = json!({"labelSelector": {}, "topologyKey": "zone"});
        let (labels, other) = (Labels::default(), Labels::new([("team", "x")]));
        let own = PodTerm::new(&view(all.clone()), "a");
        assert!(own.matches("a", &other, &labels) && !own.matches("b", &other, &labels));
        let mut by_labels = all;
        by_labels["namespaceSelector"] = json!({"matchLabels": {"team": "x"}});
        let by_labels = PodTerm::new(&view(by_labels), "a");
        assert!(by_labels.matches("b", &other, &labels) && !by_labels.matches("a", &labels, &labels));
    }

    #[test]
    fn tolerations_are_compared() {
        let taint = |key: &str| TaintView { key: key.into(), value: "v".into(), effect: "NoSchedule".into() };
        let toleration = |key: &str, operator: &str, value: &str, effect: &str| TolerationView {
            key: key.into(),
            operator: operator.into(),
            value: value.into(),
            effect: effect.into(),
        };
        assert!(tolerates(&toleration("", "Exists", "", ""), &taint("a")));
        assert!(tolerates(&toleration("a", "", "v", "NoSchedule"), &taint("a")));
        assert!(!tolerates(&toleration("a", "Equal", "w", ""), &taint("a")));
        assert!(!tolerates(&toleration("a", "Exists", "", "NoExecute"), &taint("a")));
        let all = [taint("a"), taint("b")];
        let left = untolerated(&all, &[toleration("a", "Exists", "", "")], HARD);
        assert_eq!(left.map(|taint| taint.key.as_str()), Some("b"));
    }
}
