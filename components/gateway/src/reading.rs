//! What a gateway makes of the lines that a nucleus answers with: which may
//! come when, and what is to be done at each.

use std::collections::VecDeque;

use crate::call::{Failure, Payload, ReplyHead};
use crate::carry::{Broken, Line, Lines};

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Answer at once, with this; there is nothing more.
    Answer(ReplyHead, Result<Payload, Failure>),
    /// Begin a stream of events.
    Begin(ReplyHead),
    /// Send an event; a failure is the last.
    Event(Result<Payload, Failure>),
    /// Nothing was said for a while: tell the caller that the stream still is.
    Heartbeat,
    /// End the stream.
    End,
}

/// Reads one answer. Take steps with [`Reading::step`] until it gives none, then
/// feed it the next chunk.
#[derive(Debug)]
pub struct Reading {
    lines: Lines,
    order: Order,
    steps: VecDeque<Step>,
    broken: Option<Broken>,
}

/// What came so far.
#[derive(Debug)]
enum Order {
    Nothing,
    Head(ReplyHead),
    Answer(ReplyHead, Result<Payload, Failure>),
    Events,
    LastEvent,
    End,
}

impl Reading {
    /// A reader of an answer whose lines have at most so many bytes.
    #[must_use]
    pub fn new(line_bytes_max: usize) -> Self {
        Self {
            lines: Lines::new(line_bytes_max),
            order: Order::Nothing,
            steps: VecDeque::new(),
            broken: None,
        }
    }

    /// The next step, in order; `None` when more has to be read first.
    ///
    /// # Errors
    /// Why the answer is none; there are no steps after that. What is broken
    /// after the last event of a stream is passed over: all is said.
    pub fn step(&mut self) -> Result<Option<Step>, Broken> {
        if let Some(step) = self.steps.pop_front() {
            return Ok(Some(step));
        }
        self.broken.map_or(Ok(None), Err)
    }

    /// Whether nothing more is to be read.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.broken.is_some() || matches!(self.order, Order::End)
    }

    /// Takes a chunk of the answer's body.
    pub fn feed(&mut self, chunk: &[u8]) {
        if self.is_over() {
            return;
        }
        let Self {
            lines,
            order,
            steps,
            ..
        } = self;
        let mut disorder = None;
        let read = lines.feed(chunk, |line| {
            if disorder.is_none() {
                disorder = order.take(line, steps).err();
            }
        });
        if let Some(broken) = disorder.or(read.err()) {
            self.fail(broken);
        }
    }

    /// Says that the body has ended, or broke off.
    pub fn close(&mut self) {
        if !self.is_over() {
            self.fail(Broken::CutOff);
        }
    }

    fn fail(&mut self, broken: Broken) {
        match self.order {
            Order::End => {}
            Order::LastEvent => {
                self.order = Order::End;
                self.steps.push_back(Step::End);
            }
            _ => self.broken = Some(broken),
        }
    }
}

impl Order {
    fn take(&mut self, line: Line, steps: &mut VecDeque<Step>) -> Result<(), Broken> {
        let before = std::mem::replace(self, Self::End);
        *self = match (before, line) {
            (Self::Nothing, Line::Head { head, stream: true }) => {
                steps.push_back(Step::Begin(head));
                Self::Events
            }
            (Self::Nothing, Line::Head { head, .. }) => Self::Head(head),
            (Self::Head(head), Line::Answer(payload)) => Self::Answer(head, Ok(payload)),
            (Self::Head(head), Line::Failure(failure)) => Self::Answer(head, Err(failure)),
            (Self::Answer(head, result), Line::End) => {
                steps.push_back(Step::Answer(head, result));
                Self::End
            }
            (Self::Events, Line::Event(payload)) => {
                steps.push_back(Step::Event(Ok(payload)));
                Self::Events
            }
            (Self::Events, Line::Failure(failure)) => {
                steps.push_back(Step::Event(Err(failure)));
                Self::LastEvent
            }
            (Self::Events | Self::LastEvent, Line::End) => {
                steps.push_back(Step::End);
                Self::End
            }
            (Self::Events, Line::Heartbeat) => {
                steps.push_back(Step::Heartbeat);
                Self::Events
            }
            // Before an answer there is nobody who could be told.
            (before @ (Self::Nothing | Self::Head(_)), Line::Heartbeat) => before,
            (before, _) => {
                *self = before;
                return Err(Broken::OutOfOrder);
            }
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::call::FailureKind;

    fn payload(text: &'static str) -> Payload {
        Payload::parse(Bytes::from_static(text.as_bytes())).unwrap()
    }

    fn failure() -> Failure {
        Failure::new(FailureKind::TimedOut, "late")
    }

    fn head(stream: bool) -> Line {
        Line::Head {
            head: ReplyHead::default(),
            stream,
        }
    }

    fn steps(chunks: &[&[u8]]) -> (Vec<Step>, Option<Broken>) {
        let mut reading = Reading::new(1000);
        let mut steps = Vec::new();
        let mut chunks = chunks.iter();
        loop {
            match reading.step() {
                Ok(Some(step)) => steps.push(step),
                Err(broken) => return (steps, Some(broken)),
                Ok(None) if reading.is_over() => return (steps, None),
                Ok(None) => match chunks.next() {
                    Some(chunk) => reading.feed(chunk),
                    None => reading.close(),
                },
            }
        }
    }

    fn check(lines: &[Line], expected: (&[Step], Option<Broken>)) {
        let bytes: Vec<u8> = lines
            .iter()
            .flat_map(|line| line.encode().to_vec())
            .collect();
        let (got, broken) = steps(&[&bytes]);
        assert_eq!((got.as_slice(), broken), expected, "{lines:?}");
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(steps(&single), (got, broken), "{lines:?}");
    }

    #[test]
    fn an_answer_is_one_step_once_it_is_whole() {
        let none = || ReplyHead::default();
        let answer = || Line::Answer(payload("1"));
        let whole = [Step::Answer(none(), Ok(payload("1")))];
        check(&[head(false), answer(), Line::End], (&whole, None));
        let beats = [
            Line::Heartbeat,
            head(false),
            Line::Heartbeat,
            answer(),
            Line::End,
        ];
        check(&beats, (&whole, None));
        let failed = [Step::Answer(none(), Err(failure()))];
        check(
            &[head(false), Line::Failure(failure()), Line::End],
            (&failed, None),
        );
        check(&[head(false), answer()], (&[], Some(Broken::CutOff)));
        check(&[], (&[], Some(Broken::CutOff)));
        check(&[Line::Heartbeat], (&[], Some(Broken::CutOff)));
        // After the end nothing is read.
        check(
            &[head(false), answer(), Line::End, answer()],
            (&whole, None),
        );
    }

    #[test]
    fn events_are_steps_as_they_come() {
        let begin = || Step::Begin(ReplyHead::default());
        let event = || Line::Event(payload("1"));
        let sent = || Step::Event(Ok(payload("1")));
        check(
            &[head(true), event(), Line::Heartbeat, event(), Line::End],
            (&[begin(), sent(), Step::Heartbeat, sent(), Step::End], None),
        );
        let last = Step::Event(Err(failure()));
        check(
            &[head(true), Line::Failure(failure()), Line::End],
            (&[begin(), last.clone(), Step::End], None),
        );
        // All was said, however it ended.
        check(
            &[head(true), Line::Failure(failure())],
            (&[begin(), last.clone(), Step::End], None),
        );
        check(
            &[head(true), Line::Failure(failure()), event()],
            (&[begin(), last, Step::End], None),
        );
        check(
            &[head(true), event()],
            (&[begin(), sent()], Some(Broken::CutOff)),
        );
        check(&[head(true)], (&[begin()], Some(Broken::CutOff)));
    }

    #[test]
    fn a_line_that_may_not_come_now_breaks_the_answer() {
        let answer = || Line::Answer(payload("1"));
        let event = || Line::Event(payload("1"));
        let begin = Step::Begin(ReplyHead::default());
        let cases: [(&[Line], &[Step]); 8] = [
            (&[answer()], &[]),
            (&[Line::End], &[]),
            (&[head(false), head(false)], &[]),
            (&[head(false), event()], &[]),
            (&[head(false), Line::End], &[]),
            (&[head(false), answer(), answer()], &[]),
            (&[head(false), answer(), Line::Heartbeat], &[]),
            (&[head(true), answer()], &[begin]),
        ];
        for (lines, expected) in cases {
            check(lines, (expected, Some(Broken::OutOfOrder)));
        }
    }

    proptest! {
        #[test]
        fn no_lines_make_the_reader_panic_or_speak_after_the_end(
            lines in prop::collection::vec(
                prop::sample::select(vec![
                    "{\"head\":{\"event\":\"e\"}}\n", "{\"head\":{\"event\":\"e\"},\"stream\":true}\n",
                    "{\"answer\":1}\n", "{\"event\":1}\n", "{\"end\":true}\n", "{\"heartbeat\":true}\n",
                    "{\"failure\":{\"kind\":\"internal\",\"message\":\"m\"}}\n", "{}\n", "x\n",
                ]),
                0..8,
            ),
            size in 1_usize..40,
        ) {
            let text = lines.concat();
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let (got, broken) = steps(&chunks);
            prop_assert_eq!(&steps(&[text.as_bytes()]), &(got.clone(), broken));
            let ends = got.iter().filter(|step| matches!(step, Step::End | Step::Answer(..))).count();
            prop_assert_eq!(ends, usize::from(broken.is_none()));
        }
    }
}
