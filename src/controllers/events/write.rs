//! The task that writes Events.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::correlate::{Correlator, Last, Write};
use super::recorder::{Note, Sender};
use crate::base::tasks::Tasks;
use crate::controllers::resources::EVENTS;
use crate::model::status::Result;
use crate::model::value::json;
use crate::registry::core::Registry;

/// Notes that wait to be written.
const WAITING: usize = 1_000;
/// Events about objects without a namespace are kept in this one.
const DEFAULT_NAMESPACE: &str = "default";

/// Starts the task.
pub fn start(registry: &Registry, tasks: &Tasks) -> Sender {
    let (sender, notes) = mpsc::channel(WAITING);
    let writer = Writer { registry: registry.clone(), correlator: Correlator::default(), stamp: 0 };
    tasks.start("events", |stop| writer.run(notes, stop));
    sender
}

struct Writer {
    registry: Registry,
    correlator: Correlator,
    /// The newest name's number: names are made of the time, and no two are the same.
    stamp: i128,
}

impl Writer {
    async fn run(mut self, mut notes: mpsc::Receiver<Note>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                note = notes.recv() => match note {
                    Some(note) => self.write(&note).await,
                    None => return,
                },
            }
        }
    }

    async fn write(&mut self, note: &Note) {
        let Some(write) = self.correlator.judge(note) else { return };
        let written = match &write.last {
            Some(last) => match self.raise(note, &write, last).await {
                Err(status) if status.is_not_found() => self.create(note, &write).await,
                written => written,
            },
            None => self.create(note, &write).await,
        };
        match written {
            Ok(last) => self.correlator.wrote(write.told, last),
            // A namespace that is going away takes no more Events.
            Err(status) => tracing::debug!(controller = note.component, reason = note.reason, "{}", status.message),
        }
    }

    async fn raise(&self, note: &Note, write: &Write, last: &Last) -> Result<Last> {
        let patch = json!({
            "count": last.count,
            "message": write.message,
            "lastTimestamp": note.time.to_text().as_str(),
        });
        let target = EVENTS.at(namespace(note), &last.name);
        note.client.merge(target, &patch).await?;
        Ok(last.clone())
    }

    async fn create(&mut self, note: &Note, write: &Write) -> Result<Last> {
        let name = format!("{}.{:x}", note.regarding.name, self.next_stamp());
        let last = Last { name, first: note.time, count: 1 };
        let last = write.last.as_ref().map_or(last.clone(), |old| Last { name: last.name, ..old.clone() });
        let event = json!({
            "metadata": {"name": last.name, "namespace": namespace(note)},
            "involvedObject": note.regarding.to_value(),
            "reason": note.reason,
            "message": write.message,
            "type": note.kind.name(),
            "source": {"component": note.component},
            "reportingComponent": note.component,
            "firstTimestamp": last.first.to_text().as_str(),
            "lastTimestamp": note.time.to_text().as_str(),
            "count": last.count,
        });
        note.client.create(EVENTS.at(namespace(note), &last.name), &event).await?;
        Ok(last)
    }

    fn next_stamp(&mut self) -> i128 {
        self.stamp = self.registry.clock.now().as_nanosecond().max(self.stamp + 1);
        self.stamp
    }
}

fn namespace(note: &Note) -> &str {
    if note.regarding.namespace.is_empty() { DEFAULT_NAMESPACE } else { &note.regarding.namespace }
}
