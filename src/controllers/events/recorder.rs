//! Handing over notes.

use tokio::sync::mpsc;

use crate::cache::object::Object;
use crate::controllers::item::Item;
use crate::model::time::Time;
use crate::model::value::{Value, json};
use crate::registry::client::Client;
use crate::schema::resource::Storage;

/// A controller's way to tell users something. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    sender: Sender,
    client: Client,
    /// The controller's name.
    component: &'static str,
}

pub type Sender = mpsc::Sender<Note>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Normal,
    Warning,
}

/// What an Event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regarding {
    pub api_version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub resource_version: String,
}

/// One thing to be told.
pub struct Note {
    pub client: Client,
    pub component: &'static str,
    pub regarding: Regarding,
    pub kind: Kind,
    pub reason: &'static str,
    pub message: String,
    pub time: Time,
}

impl Recorder {
    pub fn new(sender: Sender, client: Client, component: &'static str) -> Self {
        Self { sender, client, component }
    }

    pub fn record(&self, regarding: Regarding, kind: Kind, reason: &'static str, message: String, time: Time) {
        let (client, component) = (self.client.clone(), self.component);
        let note = Note { client, component, regarding, kind, reason, message, time };
        if self.sender.try_send(note).is_err() {
            tracing::warn!(controller = self.component, reason, "an event was dropped: too many wait");
        }
    }
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

impl Regarding {
    pub fn object(storage: &Storage, object: &Object) -> Self {
        Self {
            api_version: storage.kind.group_version().to_string(),
            kind: storage.kind.kind.to_string(),
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            uid: object.uid().into_owned(),
            resource_version: object.revision.to_string(),
        }
    }

    /// As `involvedObject` has it.
    pub fn to_value(&self) -> Value {
        let fields = [
            ("apiVersion", &self.api_version),
            ("kind", &self.kind),
            ("namespace", &self.namespace),
            ("name", &self.name),
            ("uid", &self.uid),
            ("resourceVersion", &self.resource_version),
        ];
        let set = fields.into_iter().filter(|(_, text)| !text.is_empty());
        set.map(|(field, text)| (field.to_owned(), json!(text))).collect()
    }
}

impl From<&Item> for Regarding {
    fn from(item: &Item) -> Self {
        Self {
            api_version: item.storage.kind.group_version().to_string(),
            kind: item.storage.kind.kind.to_string(),
            namespace: item.namespace().to_owned(),
            name: item.name().to_owned(),
            uid: item.uid().to_owned(),
            resource_version: crate::model::object::resource_version(&item.value).to_owned(),
        }
    }
}
