//! Priority: the number behind a pod's PriorityClass.

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::text;
use crate::admission::reads::Reads;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::Value;

const GROUP: &str = "scheduling.k8s.io";
const CLASSES: &str = "priorityclasses";

pub struct Priority(Reads);

impl Priority {
    pub fn new(reads: &Reads) -> Self {
        Self(reads.clone())
    }

    /// Name, value and preemption policy of the class that the pod names, or of the default.
    async fn class(&self, a: &Attributes<'_>, name: &str) -> Result<(String, i64, Option<String>)> {
        let found = if name.is_empty() {
            self.default_class()?
        } else {
            let missing = || a.forbid(format!("no PriorityClass with name {name} was found"));
            Some(self.0.get_sure(GROUP, CLASSES, "", name).await?.ok_or_else(missing)?)
        };
        Ok(match found {
            Some(class) => (
                object::name(&class).to_owned(),
                class["value"].as_i64().unwrap_or(0),
                class["preemptionPolicy"].as_str().map(str::to_owned),
            ),
            None => (String::new(), 0, Some("PreemptLowerPriority".to_owned())),
        })
    }

    /// Of several, the one with the lowest value.
    fn default_class(&self) -> Result<Option<Value>> {
        let classes = self.0.list(GROUP, CLASSES, "")?;
        let defaults = classes.into_iter().filter(|class| class["globalDefault"] == true);
        Ok(defaults.min_by_key(|class| class["value"].as_i64().unwrap_or(0)))
    }

    async fn set(&self, a: &Attributes<'_>, pod: &mut Value) -> Result<()> {
        let (name, value, policy) = self.class(a, text(&pod["spec"], "priorityClassName")).await?;
        let spec = &mut pod["spec"];
        if !name.is_empty() {
            spec["priorityClassName"] = name.into();
        }
        if let Some(given) = spec["priority"].as_i64().filter(|given| *given != value) {
            return Err(a.forbid(format!(
                "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
            )));
        }
        spec["priority"] = value.into();
        let Some(policy) = policy else { return Ok(()) };
        if let Some(given) = spec["preemptionPolicy"].as_str().filter(|given| *given != policy) {
            return Err(a.forbid(format!(
                "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
            )));
        }
        spec["preemptionPolicy"] = policy.into();
        Ok(())
    }
}

#[async_trait]
impl Plugin for Priority {
    fn name(&self) -> &'static str {
        "Priority"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        (a.is("", "pods") || a.is(GROUP, CLASSES)) && (a.creates() || a.updates())
    }

    async fn admit(&self, a: &mut Attributes<'_>, object: Option<&mut Value>) -> Result<()> {
        let Some(pod) = object.filter(|_| a.is("", "pods")) else { return Ok(()) };
        if a.creates() {
            return self.set(a, pod).await;
        }
        // What was resolved at creation stays when an update leaves it out.
        let Some(old) = a.old else { return Ok(()) };
        for field in ["priority", "preemptionPolicy"] {
            if pod["spec"][field].is_null() && !old["spec"][field].is_null() {
                pod["spec"][field] = old["spec"][field].clone();
            }
        }
        Ok(())
    }

    async fn validate(&self, a: &mut Attributes<'_>, object: Option<&Value>) -> Result<()> {
        let Some(class) = object.filter(|class| a.is(GROUP, CLASSES) && class["globalDefault"] == true) else {
            return Ok(());
        };
        let default = self.default_class().map_err(|e| Status::unknown(e.message))?;
        match default.as_ref().map(object::name) {
            Some(name) if a.creates() || name != object::name(class) => {
                Err(a.forbid(format!("PriorityClass {name} is already marked as default. Only one default can exist")))
            }
            _ => Ok(()),
        }
    }
}
