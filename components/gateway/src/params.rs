//! The members of A2A's request objects that matter.
//! Source: A2A 1.0.1, SendMessageRequest, GetTaskRequest, CancelTaskRequest.

use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::json;
use crate::members::{Array, Fault, Members, Object, Step};

/// `SendMessageRequest`.
#[derive(Default)]
pub(crate) struct SendParams<'de> {
    pub message: MessageMembers<'de>,
    pub has_message: bool,
    pub configuration: Configuration<'de>,
    pub tenant: Option<&'de RawValue>,
}

impl<'de> Members<'de> for SendParams<'de> {
    const AT: &'static str = "";
    const NAMES: &'static [&'static str] = &["message", "configuration", "tenant"];

    fn take<A: MapAccess<'de>>(
        &mut self,
        index: usize,
        map: &mut A,
        fault: &mut Option<Fault>,
    ) -> Result<(), A::Error> {
        match index {
            0 => {
                let members = &mut self.message;
                let seed = Object {
                    members,
                    fault,
                    at: Self::AT,
                    name: "message",
                };
                self.has_message = map.next_value_seed(seed)?;
            }
            1 => {
                let members = &mut self.configuration;
                map.next_value_seed(Object {
                    members,
                    fault,
                    at: Self::AT,
                    name: "configuration",
                })?;
            }
            _ => self.tenant = Some(map.next_value()?),
        }
        Ok(())
    }
}

/// The one part of it that lets an agent call somewhere the mesh does not see.
#[derive(Default)]
pub(crate) struct Configuration<'de> {
    pub push: Option<&'de RawValue>,
}

impl<'de> Members<'de> for Configuration<'de> {
    const AT: &'static str = "configuration";
    const NAMES: &'static [&'static str] =
        &["taskPushNotificationConfig", "pushNotificationConfig"];

    fn take<A: MapAccess<'de>>(
        &mut self,
        _index: usize,
        map: &mut A,
        _fault: &mut Option<Fault>,
    ) -> Result<(), A::Error> {
        let raw: &RawValue = map.next_value()?;
        if !json::is_null(raw) {
            self.push = Some(raw);
        }
        Ok(())
    }
}

/// The message.
#[derive(Default)]
pub(crate) struct MessageMembers<'de> {
    pub message_id: Option<&'de RawValue>,
    pub context_id: Option<&'de RawValue>,
    pub task_id: Option<&'de RawValue>,
    pub role: Option<&'de RawValue>,
    pub parts: Parts<'de>,
    pub references: Option<&'de RawValue>,
}

impl<'de> Members<'de> for MessageMembers<'de> {
    const AT: &'static str = "message";
    const NAMES: &'static [&'static str] = &[
        "messageId",
        "contextId",
        "taskId",
        "role",
        "parts",
        "referenceTaskIds",
    ];

    fn take<A: MapAccess<'de>>(
        &mut self,
        index: usize,
        map: &mut A,
        fault: &mut Option<Fault>,
    ) -> Result<(), A::Error> {
        match index {
            0 => self.message_id = Some(map.next_value()?),
            1 => self.context_id = Some(map.next_value()?),
            2 => self.task_id = Some(map.next_value()?),
            3 => self.role = Some(map.next_value()?),
            4 => {
                let each = &mut self.parts;
                map.next_value_seed(Array {
                    each,
                    fault,
                    at: Self::AT,
                    name: "parts",
                })?;
            }
            _ => self.references = Some(map.next_value()?),
        }
        Ok(())
    }
}

/// What routing reads of a message's parts.
#[derive(Default)]
pub(crate) struct Parts<'de> {
    pub count: usize,
    pub text: String,
    pub texts: usize,
    pub data: Option<&'de RawValue>,
    /// The first part that claims to be two things at once.
    pub crowded: Option<usize>,
}

impl Parts<'_> {
    fn add_text(&mut self, raw: &RawValue, fault: &mut Option<Fault>) -> bool {
        if json::is_null(raw) {
            return false;
        }
        let Some(text) = json::string(raw) else {
            let at = "message.parts[]";
            fault.get_or_insert(Fault::Kind {
                at,
                name: "text",
                wanted: "a Unicode string",
            });
            return false;
        };
        if self.texts > 0 {
            self.text.push('\n');
        }
        self.texts += 1;
        self.text.push_str(&text);
        true
    }
}

impl<'de> Step<'de> for &mut Parts<'de> {
    fn step<A: SeqAccess<'de>>(
        &mut self,
        seq: &mut A,
        fault: &mut Option<Fault>,
    ) -> Result<bool, A::Error> {
        let mut part = Part {
            parts: self,
            contents: 0,
        };
        let seed = Object {
            members: &mut part,
            fault,
            at: "message",
            name: "parts[]",
        };
        let Some(present) = seq.next_element_seed(seed)? else {
            return Ok(false);
        };
        let contents = part.contents;
        if !present {
            let (at, name) = ("message", "parts[]");
            fault.get_or_insert(Fault::Kind {
                at,
                name,
                wanted: "an object",
            });
        }
        if contents > 1 {
            self.crowded = self.crowded.or(Some(self.count));
        }
        self.count += 1;
        Ok(true)
    }
}

struct Part<'p, 'de> {
    pub parts: &'p mut Parts<'de>,
    contents: usize,
}

impl<'de> Members<'de> for Part<'_, 'de> {
    const AT: &'static str = "message.parts[]";
    const NAMES: &'static [&'static str] = &["text", "data", "raw", "url"];

    fn take<A: MapAccess<'de>>(
        &mut self,
        index: usize,
        map: &mut A,
        fault: &mut Option<Fault>,
    ) -> Result<(), A::Error> {
        let present = match index {
            0 => self.parts.add_text(map.next_value()?, fault),
            1 => {
                let raw: &RawValue = map.next_value()?;
                let present = !json::is_null(raw);
                if present {
                    self.parts.data.get_or_insert(raw);
                }
                present
            }
            _ => map.next_value::<Option<IgnoredAny>>()?.is_some(),
        };
        self.contents += usize::from(present);
        Ok(())
    }
}

/// `GetTaskRequest` and `CancelTaskRequest`.
#[derive(Default)]
pub(crate) struct TaskParams<'de> {
    pub id: Option<&'de RawValue>,
    pub tenant: Option<&'de RawValue>,
}

impl<'de> Members<'de> for TaskParams<'de> {
    const AT: &'static str = "";
    const NAMES: &'static [&'static str] = &["id", "tenant"];

    fn take<A: MapAccess<'de>>(
        &mut self,
        index: usize,
        map: &mut A,
        _fault: &mut Option<Fault>,
    ) -> Result<(), A::Error> {
        let raw = Some(map.next_value()?);
        if index == 0 {
            self.id = raw
        } else {
            self.tenant = raw
        }
        Ok(())
    }
}
