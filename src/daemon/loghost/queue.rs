//! What waits in memory for the log host: lines, and between them the places where an outcome comes from disk.

use std::collections::VecDeque;

use crate::log::remote::Message;
use crate::spool::outbox::Waiting;

/// Lines that wait in memory: some jobs' worth, 1 MiB at the very most.
const LINES: usize = 256;
/// Lines of one burst.
const BURST: usize = 64;

/// In the order in which it was said.
pub(super) struct Queue {
    items: VecDeque<Item>,
    dropped: u64,
}

enum Item {
    Line(Box<Message>),
    /// Outcomes may wait in the outbox.
    Outbox,
}

/// What goes out over one connection.
#[derive(Default)]
pub(super) struct Burst {
    /// The lines.
    pub lines: Vec<Message>,
    /// How many were dropped, which is told first.
    pub dropped: u64,
    /// Behind the lines.
    pub outcome: Option<(Waiting, Message)>,
    /// Behind the lines the outbox is to be looked at.
    pub looked: bool,
}

impl Queue {
    /// What an earlier daemon left comes first.
    pub fn new() -> Self {
        Self { items: VecDeque::from([Item::Outbox]), dropped: 0 }
    }

    /// One more line.
    pub fn line(&mut self, message: Message) {
        self.items.push_back(Item::Line(Box::new(message)));
        self.bound();
    }

    /// One more outcome is on disk.
    pub fn outcome(&mut self) {
        if !matches!(self.items.back(), Some(Item::Outbox)) {
            self.items.push_back(Item::Outbox);
        }
    }

    /// Lets the oldest lines go that are too many.
    fn bound(&mut self) {
        let lines = self.items.iter().filter(|item| matches!(item, Item::Line(_))).count();
        for _ in LINES..lines {
            if let Some(oldest) = self.items.iter().position(|item| matches!(item, Item::Line(_))) {
                self.items.remove(oldest);
                self.dropped += 1;
                // One look is enough for the marks that it stood between.
                let is_mark = |at: usize| matches!(self.items.get(at), Some(Item::Outbox));
                if oldest > 0 && is_mark(oldest - 1) && is_mark(oldest) {
                    self.items.remove(oldest);
                }
            }
        }
    }

    /// The outbox comes first.
    fn mark(&mut self) {
        if !matches!(self.items.front(), Some(Item::Outbox)) {
            self.items.push_front(Item::Outbox);
        }
    }

    /// The lines before the next outcome; a look at the outbox is due when one is.
    pub fn take(&mut self) -> Burst {
        let mut burst = Burst { dropped: self.dropped, ..Burst::default() };
        while burst.lines.len() < BURST && !burst.looked {
            match self.items.pop_front() {
                Some(Item::Line(line)) => burst.lines.push(*line),
                Some(Item::Outbox) => burst.looked = true,
                None => break,
            }
        }
        burst
    }

    /// It did not arrive: all of it is due again.
    pub fn put_back(&mut self, burst: Burst) {
        if burst.looked {
            self.mark();
        }
        for line in burst.lines.into_iter().rev() {
            self.items.push_front(Item::Line(Box::new(line)));
        }
        self.bound();
    }

    /// It arrived.
    pub fn sent(&mut self, burst: &Burst) {
        self.dropped = self.dropped.saturating_sub(burst.dropped);
        if burst.outcome.is_some() {
            // There may be more of them.
            self.mark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::name::HostName;
    use crate::log::{Line, Severity};

    #[test]
    fn lines_beyond_the_bound_go_oldest_first_and_are_counted_and_outcomes_stay() {
        let mut queue = Queue::new();
        for n in 0..LINES + 10 {
            let at = "2007-05-18T05:40:01Z".parse().unwrap();
            let line = Line::new().field("n", n);
            queue.line(Message::new(at, Severity::Info, HostName::new("zhost1").unwrap(), line));
            queue.outcome();
            queue.outcome();
        }
        assert_eq!(queue.dropped, 10);
        // One look at the outbox before and behind each line that is left.
        assert_eq!(queue.items.len(), 2 * LINES + 1);
        let first = loop {
            let burst = queue.take();
            assert!(burst.looked, "each line has an outcome behind it");
            if !burst.lines.is_empty() {
                break burst;
            }
        };
        assert_eq!(first.lines[0].line.to_string(), "n=10");
        assert_eq!(first.dropped, 10);
        // What did not arrive comes first again.
        queue.put_back(first);
        let again = queue.take();
        assert_eq!(again.lines[0].line.to_string(), "n=10");
        queue.sent(&again);
        assert_eq!(queue.dropped, 0);
        assert_eq!(queue.take().lines[0].line.to_string(), "n=11");
        // A look that is put back before another one is the same.
        let left = queue.items.len();
        for _ in 0..2 {
            queue.put_back(Burst { looked: true, ..Burst::default() });
        }
        assert_eq!(queue.items.len(), left + 1);
    }
}
