//! The members of an agent's answer that matter, in every shape it can have.

use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::members::{Fault, Members, Object};

/// Every shape at once; which one it is shows in what it has.
#[derive(Default)]
pub(crate) struct Answer<'de> {
    pub has_task: bool,
    pub has_message: bool,
    pub has_status: bool,
    pub has_artifact: bool,
    pub task: TaskMembers<'de>,
    pub message: Update<'de>,
    pub status: Update<'de>,
    pub artifact: Update<'de>,
    pub bare: TaskMembers<'de>,
}

impl<'de> Members<'de> for Answer<'de> {
    const AT: &'static str = "";
    const NAMES: &'static [&'static str] = &[
        "task",
        "message",
        "statusUpdate",
        "artifactUpdate",
        "id",
        "contextId",
        "status",
        "metadata",
    ];

    fn take<A: MapAccess<'de>>(
        &mut self,
        index: usize,
        map: &mut A,
        fault: &mut Option<Fault>,
    ) -> Result<(), A::Error> {
        let at = Self::AT;
        match index {
            0 => {
                let members = &mut self.task;
                self.has_task = map.next_value_seed(Object {
                    members,
                    fault,
                    at,
                    name: "task",
                })?;
            }
            1 => {
                let members = &mut self.message;
                let seed = Object {
                    members,
                    fault,
                    at,
                    name: "message",
                };
                self.has_message = map.next_value_seed(seed)?;
            }
            2 => {
                let members = &mut self.status;
                let seed = Object {
                    members,
                    fault,
                    at,
                    name: "statusUpdate",
                };
                self.has_status = map.next_value_seed(seed)?;
            }
            3 => {
                let members = &mut self.artifact;
                let seed = Object {
                    members,
                    fault,
                    at,
                    name: "artifactUpdate",
                };
                self.has_artifact = map.next_value_seed(seed)?;
            }
            // The members of a bare task, in the order of its own names.
            own => self.bare.take(own - 4, map, fault)?,
        }
        Ok(())
    }
}

/// A task.
#[derive(Default)]
pub(crate) struct TaskMembers<'de> {
    pub id: Option<&'de RawValue>,
    pub context: Option<&'de RawValue>,
    pub status: Status<'de>,
    pub has_status: bool,
    pub metadata: Option<&'de RawValue>,
}

impl<'de> Members<'de> for TaskMembers<'de> {
    const AT: &'static str = "task";
    const NAMES: &'static [&'static str] = &["id", "contextId", "status", "metadata"];

    fn take<A: MapAccess<'de>>(
        &mut self,
        index: usize,
        map: &mut A,
        fault: &mut Option<Fault>,
    ) -> Result<(), A::Error> {
        match index {
            0 => self.id = Some(map.next_value()?),
            1 => self.context = Some(map.next_value()?),
            2 => {
                let members = &mut self.status;
                let seed = Object {
                    members,
                    fault,
                    at: Self::AT,
                    name: "status",
                };
                self.has_status = map.next_value_seed(seed)?;
            }
            _ => self.metadata = Some(map.next_value()?),
        }
        Ok(())
    }
}

/// A message, a status update or an artifact update.
#[derive(Default)]
pub(crate) struct Update<'de> {
    pub id: Option<&'de RawValue>,
    pub context: Option<&'de RawValue>,
    pub status: Status<'de>,
    pub metadata: Option<&'de RawValue>,
}

impl<'de> Members<'de> for Update<'de> {
    const AT: &'static str = "update";
    const NAMES: &'static [&'static str] = &["taskId", "contextId", "status", "metadata"];

    fn take<A: MapAccess<'de>>(
        &mut self,
        index: usize,
        map: &mut A,
        fault: &mut Option<Fault>,
    ) -> Result<(), A::Error> {
        match index {
            0 => self.id = Some(map.next_value()?),
            1 => self.context = Some(map.next_value()?),
            2 => {
                let members = &mut self.status;
                map.next_value_seed(Object {
                    members,
                    fault,
                    at: Self::AT,
                    name: "status",
                })?;
            }
            _ => self.metadata = Some(map.next_value()?),
        }
        Ok(())
    }
}

/// The status of a task.
#[derive(Default)]
pub(crate) struct Status<'de> {
    pub state: Option<&'de RawValue>,
    /// Of the status' message.
    pub metadata: Option<&'de RawValue>,
}

impl<'de> Members<'de> for Status<'de> {
    const AT: &'static str = "status";
    const NAMES: &'static [&'static str] = &["state", "message"];

    fn take<A: MapAccess<'de>>(
        &mut self,
        index: usize,
        map: &mut A,
        fault: &mut Option<Fault>,
    ) -> Result<(), A::Error> {
        if index == 0 {
            self.state = Some(map.next_value()?);
            return Ok(());
        }
        let mut message = Update::default();
        let seed = Object {
            members: &mut message,
            fault,
            at: Self::AT,
            name: "message",
        };
        map.next_value_seed(seed)?;
        self.metadata = message.metadata;
        Ok(())
    }
}
