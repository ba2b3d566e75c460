//! Drives the gate in time: gathers until a row of right answers opens the settle window, spreads the samples over it, ends.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::client::Client;
use super::client::address::Address;
use super::expect::Expectations;
use super::gathering::{Next, Row, backoff, enough};
use super::judge::{Period, Weight, Window, explain};
use super::observation::Observation;
use super::reading;

/// How long the gate watches on after the first observation in the window that disproves: one from many is told apart, and
/// nobody waits for what is already decided.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// What is wrong within this time before the end counts as still wrong.
const RECENT: Duration = Duration::from_secs(30);

/// The most observations that are kept while gathering.
const KEPT: usize = 1_000;

/// Between two questions while gathering and all is well.
const PACE: Duration = Duration::from_millis(40);

/// How often somebody is told how it stands.
const TICK: Duration = Duration::from_millis(200);

/// How long, how often, how much at once.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The whole of it, the settle window included.
    pub timeout: Duration,
    /// How long it has to hold.
    pub settle: Duration,
    /// How many questions are asked of a deployment that is right from the start, of which some open the window.
    pub samples: usize,
    /// The most questions at a time.
    pub concurrency: usize,
}

/// What there is to tell while it runs.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Since the start.
    pub elapsed: Duration,
    /// Questions asked and answered, or failed.
    pub questions: usize,
    /// Right answers in a row.
    pub row: usize,
    /// Tasks in that row.
    pub tasks: usize,
    /// Architectures that are expected and not in it.
    pub absent: Vec<crate::arch::Arch>,
    /// The settle window: since when it is open, and how many questions of it are done and are to be done.
    pub settling: Option<(Duration, usize, usize)>,
    /// What was wrong with the last observation that was not right.
    pub last_wrong: Option<String>,
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// What was seen.
    pub observations: Vec<Observation>,
    /// How it counts.
    pub period: Period,
    /// How long it took.
    pub elapsed: Duration,
    /// How many questions were asked in all.
    pub questions: usize,
    /// Whether it was told to stop.
    pub interrupted: bool,
}

/// The settle window while it is open.
#[derive(Debug)]
struct Open {
    from: Duration,
    at: Duration,
    /// Questions that belong into it; it can become more by those for tasks that were not heard yet.
    wanted: usize,
    asked: usize,
    done: usize,
    extra: bool,
    disproven: Option<Duration>,
}

/// One run of the gate.
struct Run<'a> {
    client: Arc<Client>,
    base: &'a Address,
    expected: &'a Expectations,
    plan: Plan,
    start: Instant,
    row: Row,
    open: Option<Open>,
    seen: VecDeque<Observation>,
    questions: usize,
    /// Questions in a row that were not answered right.
    wrong: u32,
    last_wrong: Option<String>,
    next: Instant,
}

/// Asks until it is decided, the time is over, or `stop` is ready; tells `watch` all along how it stands.
pub async fn run(
    client: Client,
    base: &Address,
    expected: &Expectations,
    plan: Plan,
    stop: impl Future<Output = ()>,
    watch: &mut dyn FnMut(&Standing),
) -> Gathered {
    let start = Instant::now();
    let mut run = Run {
        client: Arc::new(client),
        base,
        expected,
        plan,
        start,
        row: Row::default(),
        open: None,
        seen: VecDeque::new(),
        questions: 0,
        wrong: 0,
        last_wrong: None,
        next: start,
    };
    let mut asked = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    let deadline = start + plan.timeout;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut interrupted, mut complete) = (false, false);
    while !complete {
        let may_ask = run.may_ask(asked.len());
        let wake = if may_ask { run.next } else { run.end() };
        tokio::select! {
            biased;
            () = &mut stop => {
                interrupted = true;
                break;
            }
            () = sleep_until(deadline) => break,
            Some(done) = asked.join_next(), if !asked.is_empty() => {
                if let Ok(observation) = done {
                    run.note(observation, asked.len());
                }
            }
            _ = tick.tick() => watch(&run.standing()),
            () = sleep_until(wake), if may_ask || Instant::now() < wake => {
                if may_ask {
                    run.ask(&mut asked);
                }
            }
        }
        if run.is_disproven() {
            break;
        }
        complete = run.is_complete(asked.is_empty());
    }
    run.finish(complete, interrupted)
}

impl Run<'_> {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Whether another question may be asked, beside so many that are under way.
    fn may_ask(&self, under_way: usize) -> bool {
        let limit = match &self.open {
            // What went wrong is asked again one at a time; a row that is long enough waits for what is under way.
            None if self.wrong > 0 || self.row.opens(self.expected, enough(self.plan.samples)) => 1,
            None => self.plan.concurrency.min(enough(self.plan.samples)),
            Some(open) if open.asked >= open.wanted => 0,
            Some(_) => self.plan.concurrency,
        };
        under_way < limit
    }

    fn ask(&mut self, asked: &mut JoinSet<Observation>) {
        let Next { question, arch } = self.row.next(self.expected);
        let address = self.base.join(&question.path());
        let (client, start) = (self.client.clone(), self.start);
        asked.spawn(async move {
            let begun = Instant::now();
            let reply = client.get(address, arch).await;
            Observation {
                outcome: reply.and_then(|reply| reading::read(&question, &reply)),
                at: start.elapsed(),
                took: begun.elapsed(),
                question,
            }
        });
        if let Some(open) = &mut self.open {
            open.asked += 1;
        }
        self.next = self.after();
    }

    /// When the next question is due.
    fn after(&self) -> Instant {
        let now = Instant::now();
        let Some(open) = &self.open else {
            let absent = !self.row.absent(self.expected).is_empty();
            let pause = if self.wrong > 0 {
                backoff(self.wrong, fastrand::f64())
            } else if absent && self.row.length > enough(self.plan.samples) {
                // All is well but for who is missing; that can take minutes.
                backoff(2, fastrand::f64())
            } else {
                PACE
            };
            return now + pause;
        };
        if open.extra || open.asked >= open.wanted {
            return now;
        }
        // Each in its own part of the window, at a random place in it: no rhythm of the fleet's can hide from that.
        let part = self
            .plan
            .settle
            .div_f64(f64::from(u32::try_from(open.wanted.max(1)).unwrap_or(u32::MAX)));
        let due = part.mul_f64(f64::from(u32::try_from(open.asked).unwrap_or(u32::MAX)) + fastrand::f64());
        (self.start + open.at + due).max(now)
    }

    /// Takes in what came.
    fn note(&mut self, observation: Observation, under_way: usize) {
        self.questions += 1;
        let weight = self.row.note(self.expected, &observation);
        if weight == Weight::Right {
            self.wrong = 0;
        } else {
            self.wrong += 1;
            self.last_wrong = explain(self.expected, &observation);
        }
        let at = observation.at;
        self.seen.push_back(observation);
        if let Some(open) = &mut self.open {
            open.done += 1;
            if weight >= Weight::Failed {
                open.disproven.get_or_insert(at);
            }
            return;
        }
        if self.seen.len() > KEPT {
            self.seen.pop_front();
        }
        if weight != Weight::Right {
            self.next = self.after();
        } else if under_way == 0 && self.row.opens(self.expected, enough(self.plan.samples)) {
            let oldest = self.seen.front().map_or(at, |first| first.at);
            let wanted = self.plan.samples.saturating_sub(self.row.length).max(1);
            self.open = Some(Open {
                from: self.row.from.unwrap_or(at).max(oldest),
                at,
                wanted,
                asked: 0,
                done: 0,
                extra: false,
                disproven: None,
            });
            self.next = self.after();
        }
    }

    /// Two questions more for each task that answered, if one of them was not yet heard on everything.
    fn ask_the_unheard(&mut self) {
        let Some(open) = &mut self.open else { return };
        open.extra = true;
        if !self.row.is_heard() && open.disproven.is_none() {
            open.wanted += 2 * self.row.tasks();
            self.next = Instant::now();
        }
    }

    /// When the window may be closed.
    fn end(&self) -> Instant {
        let Some(open) = &self.open else {
            return self.start + self.plan.timeout;
        };
        let end = open.at + self.plan.settle;
        self.start + open.disproven.map_or(end, |at| end.min(at + LAST_LOOK))
    }

    fn is_disproven(&self) -> bool {
        let disproven = self.open.as_ref().and_then(|open| open.disproven);
        disproven.is_some() && Instant::now() >= self.end()
    }

    /// Whether the window was watched to its end.
    fn is_complete(&mut self, idle: bool) -> bool {
        let over = Instant::now() >= self.end();
        match &self.open {
            Some(open) if over && idle && open.done >= open.wanted && !open.extra => {
                self.ask_the_unheard();
            }
            _ => {}
        }
        self.open.as_ref().is_some_and(|open| {
            let all = open.done >= open.wanted || (open.extra && self.row.is_heard());
            over && idle && all && open.disproven.is_none()
        })
    }

    fn standing(&self) -> Standing {
        Standing {
            elapsed: self.elapsed(),
            questions: self.questions,
            row: self.row.length,
            tasks: self.row.tasks(),
            absent: self.row.absent(self.expected).into_iter().collect(),
            settling: self.open.as_ref().map(|open| (open.at, open.done, open.wanted)),
            last_wrong: self.last_wrong.clone(),
        }
    }

    fn finish(self, complete: bool, interrupted: bool) -> Gathered {
        let elapsed = self.elapsed();
        let period = match self.open {
            None => Period::Gathering {
                recent: elapsed.saturating_sub(RECENT),
            },
            Some(open) => Period::Settling(Window {
                from: open.from,
                opened: open.at,
                settle: self.plan.settle,
                until: elapsed,
                complete,
            }),
        };
        Gathered {
            observations: self.seen.into(),
            period,
            elapsed,
            questions: self.questions,
            interrupted,
        }
    }
}
