//! Whether a request's owner may submit, without the main loop ever waiting for the answer.
//!
//! Each user is asked about in a thread of its own, which rings the bell when it knows; until then the request stays where
//! it is. One answer serves all of the user's requests that the next look finds, and then it is forgotten: a right that was
//! granted, or taken away, counts for the next request. What can't be found out is asked again, with growing pauses and one
//! warning.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::context::Context;
use super::pauses;
use crate::host::rights::{self, Right};
use crate::log::{Line, Severity};
use crate::spool::incoming::May;

/// An answer that no request was there for any more is as good as none after this time.
const FRESH: Duration = Duration::from_secs(10);

/// What is known of each user.
#[derive(Default)]
pub struct Rights(Mutex<BTreeMap<u32, Known>>);

enum Known {
    /// A thread is asking; this often it has failed before.
    Asking(u32),
    Answered {
        right: Right,
        at: Instant,
        used: bool,
    },
    /// It could not be found out, this often in a row.
    Failed {
        times: u32,
        at: Instant,
    },
}

impl Rights {
    /// Whether the user may submit, as far as it is known; asks, when it is not.
    pub fn may_submit(&self, context: &Arc<Context>, uid: u32) -> May {
        let mut known = self.lock();
        let failed = match known.get_mut(&uid) {
            Some(Known::Asking(_)) => return May::NotYet,
            Some(Known::Answered { right, at, used }) if at.elapsed() < FRESH => {
                *used = true;
                return match right {
                    Right::Held => May::Submit,
                    Right::Missing(why) => May::Not(why.clone()),
                };
            }
            Some(Known::Failed { times, at }) if at.elapsed() < pauses::behind(*times) => return May::NotYet,
            Some(Known::Failed { times, .. }) => *times,
            Some(Known::Answered { .. }) | None => 0,
        };
        known.insert(uid, Known::Asking(failed));
        drop(known);
        let asking = Arc::clone(context);
        let thread = thread::Builder::new().name("rights".into());
        match thread.spawn(move || {
            let answer = rights::may_submit(&asking.programs(), uid).map_err(|error| error.to_string());
            asking.rights.learn(&asking, uid, answer);
        }) {
            Ok(thread) => context.keep(thread),
            Err(error) => self.learn(context, uid, Err(format!("no thread to ask in: {error}"))),
        }
        May::NotYet
    }

    /// Behind a look: answers that were used are forgotten.
    pub fn looked(&self) {
        self.lock().retain(|_, known| !matches!(known, Known::Answered { used: true, .. }));
    }

    fn learn(&self, context: &Context, uid: u32, answer: Result<Right, String>) {
        let mut known = self.lock();
        let failed = match known.get(&uid) {
            Some(Known::Asking(times)) => *times,
            _ => 0,
        };
        let at = Instant::now();
        let error = match answer {
            Ok(right) => {
                known.insert(uid, Known::Answered { right, at, used: false });
                None
            }
            Err(error) => {
                known.insert(uid, Known::Failed { times: failed.saturating_add(1), at });
                Some(error)
            }
        };
        drop(known);
        if let Some(error) = error.filter(|_| failed == 0) {
            let line = Line::new().field("event", "right-unknown").field("user", uid).field("error", error);
            context.log.write(Severity::Warning, &line);
        }
        context.bell.ring();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
