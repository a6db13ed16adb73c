//! A bounded queue between threads, from which the oldest thing goes that may be lost, when there is no room.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What waits for another thread.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// How many things that may be lost wait at most.
    room: usize,
    may_be_lost: fn(&T) -> bool,
}

/// Whatever it is, no more than this waits: seconds of scalars for more than a day.
const MOST: usize = 100_000;

struct State<T> {
    waiting: VecDeque<T>,
    is_closed: bool,
    /// Somebody took something and is not done with it; whether that may be lost.
    busy: Option<bool>,
    lost: u64,
}

/// What somebody who waits gets.
pub(crate) enum Taken<T> {
    /// The oldest thing.
    One(T),
    /// Nothing came in time.
    Nothing,
    /// Nothing will come any more.
    Closed,
}

impl<T> Queue<T> {
    pub(crate) fn new(room: usize, may_be_lost: fn(&T) -> bool) -> Self {
        let state = State { waiting: VecDeque::new(), is_closed: false, busy: None, lost: 0 };
        Queue { state: Mutex::new(state), changed: Condvar::new(), room, may_be_lost }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds something, and never waits. Returns what was lost for it.
    pub(crate) fn push(&self, it: T) -> Option<T> {
        let mut state = self.lock();
        let mut lost = None;
        if state.is_closed {
            state.lost += u64::from((self.may_be_lost)(&it));
            return Some(it);
        }
        if (self.may_be_lost)(&it) {
            let losable = state.waiting.iter().filter(|it| (self.may_be_lost)(it)).count();
            if losable >= self.room
                && let Some(oldest) = state.waiting.iter().position(|it| (self.may_be_lost)(it))
            {
                lost = state.waiting.remove(oldest);
                state.lost += 1;
            }
        }
        if state.waiting.len() >= MOST {
            lost = state.waiting.pop_front();
            state.lost += 1;
        }
        state.waiting.push_back(it);
        self.changed.notify_all();
        lost
    }

    /// The oldest thing, which counts as taken until the next call.
    pub(crate) fn take(&self, at_most: Duration) -> Taken<T> {
        let until = Instant::now() + at_most;
        let mut state = self.lock();
        state.busy = None;
        self.changed.notify_all();
        loop {
            if let Some(it) = state.waiting.pop_front() {
                state.busy = Some((self.may_be_lost)(&it));
                return Taken::One(it);
            }
            if state.is_closed {
                return Taken::Closed;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Taken::Nothing;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nothing more comes.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Whatever somebody is busy with is lost.
    pub(crate) fn give_up(&self) {
        let mut state = self.lock();
        state.lost += u64::from(state.busy.take().unwrap_or(false));
        self.changed.notify_all();
    }

    /// All is lost: what waits, what somebody is busy with, and what may still come.
    pub(crate) fn abandon(&self) {
        self.give_up();
        let mut state = self.lock();
        state.is_closed = true;
        state.lost += state.waiting.drain(..).filter(|it| (self.may_be_lost)(it)).count() as u64;
        self.changed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Waits until everything is done, but not for ever.
    pub(crate) fn wait_until_empty(&self, until: Instant) -> bool {
        let mut state = self.lock();
        while state.busy.is_some() || !state.waiting.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lock().lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken<T>(queue: &Queue<T>) -> Option<T> {
        match queue.take(Duration::ZERO) {
            Taken::One(it) => Some(it),
            Taken::Nothing | Taken::Closed => None,
        }
    }

    #[test]
    fn the_oldest_goes_that_may_be_lost() {
        let queue = Queue::new(2, |it: &i32| *it < 100);
        [1, 100, 2].into_iter().for_each(|it| assert!(queue.push(it).is_none()));
        assert_eq!((queue.push(3), queue.push(101), queue.lost()), (Some(1), None, 1));
        let all: Vec<i32> = std::iter::from_fn(|| taken(&queue)).collect();
        assert_eq!(all, [100, 2, 3, 101]);
    }

    #[test]
    fn it_is_empty_when_the_last_thing_is_done() {
        let queue = Queue::new(2, |_: &i32| true);
        queue.push(1);
        queue.close();
        assert_eq!(taken(&queue), Some(1));
        assert!(!queue.wait_until_empty(Instant::now()));
        assert!(matches!(queue.take(Duration::ZERO), Taken::Closed));
        assert!(queue.wait_until_empty(Instant::now()));
    }

    #[test]
    fn what_is_given_up_is_counted() {
        let queue = Queue::new(9, |it: &i32| *it < 100);
        [1, 100, 2, 3].into_iter().for_each(|it| assert!(queue.push(it).is_none()));
        assert_eq!((taken(&queue), queue.lost()), (Some(1), 0));
        queue.give_up();
        queue.give_up();
        assert_eq!((queue.lost(), taken(&queue)), (1, Some(100)));
        queue.abandon();
        queue.push(4);
        assert_eq!(queue.lost(), 4);
        assert!(queue.wait_until_empty(Instant::now()));
    }
}
