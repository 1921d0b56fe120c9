//! The load generator: requests leave when they are due, whatever became of those before.
//!
//! One thread a core, each with its own runtime, connections, timer and stripe of the schedule, so
//! that nothing is handed from thread to thread between an instant and its request. A late request
//! is sent at once and keeps the instant at which it was due; the schedule is never moved. One that is
//! later than its time-out is lost already: it is counted and not sent, so that the client catches up.

mod checker;
mod inline;
#[cfg(test)]
mod streams;

use super::arrival::{Arrival, Due, Load, Stripe, nanoseconds};
use super::connector::{Answer, Client, Encoded, Span};
use super::counts::Counts;
use super::http;
use super::judge::{Health, QuotaStops};
use super::metric::{Metric, Pieces, Sample};
use super::pacer::Pacer;
use super::random::unlike_others;
use super::record::{Fault, Record};
use super::stream::Failure;
use super::target::requests::Ahead;
use super::target::{Heard, Prepared, Reader, Step};
use checker::{Checked, Checker};
use rooflens_ground::os::cgroup::{self, ControlGroups};
use rooflens_ground::os::proc::{Proc, Ticks};
use rooflens_ground::os::processes::ticks_per_second;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// What to send, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// When requests are scheduled.
    pub load: Load,
    /// Seed of the schedule; the same seed, load and duration give the same instants.
    pub seed: u64,
    /// Length of the schedule.
    pub duration: Duration,
    /// A closed loop ends with so many requests, of all its senders together, if it does not end before by its time.
    pub requests: Option<u64>,
    /// This machine's share of the schedule.
    pub stripe: Stripe,
    /// The number of sender threads, 1 or more.
    pub senders: usize,
    /// Longest time from scheduled to answered; a request that takes longer has failed.
    pub timeout: Duration,
    /// Durations, in nanoseconds, that a request should be within; those that are within all of them are counted.
    pub limits: Vec<(Metric, u64)>,
    /// Largest number of requests in flight; one that would exceed it is not sent and counts as dropped.
    pub max_in_flight: usize,
    /// When to start, so that several machines start together.
    pub start_at: Option<SystemTime>,
    /// The name of the run, where its stripes met and agreed on the start.
    pub met: Option<String>,
}

/// An inference in this process is waited for, however long it takes.
const PATIENCE: Duration = Duration::from_hours(24);

impl Plan {
    /// A closed loop of one machine with one request in flight per sender; each is waited for.
    pub fn closed(workers: usize, duration: Duration) -> Self {
        Self {
            load: Load::Closed(workers),
            seed: 1,
            duration,
            requests: None,
            stripe: Stripe::WHOLE,
            senders: workers,
            timeout: PATIENCE,
            limits: Vec::new(),
            max_in_flight: workers,
            start_at: None,
            met: None,
        }
    }
}

impl Plan {
    /// What the intervals of the record are made for: the duration, or where the number of requests ends the run and
    /// that only limits it, some seconds.
    pub fn span(&self) -> Duration {
        if self.requests.is_some() { self.duration.min(SOME) } else { self.duration }
    }
}

/// A run of a number of requests is recorded as one of this length would be; a longer one has more intervals.
const SOME: Duration = Duration::from_secs(20);

/// What a watcher of a run sees.
#[derive(Debug, Default)]
pub struct Live {
    /// Successful requests so far.
    pub good: AtomicU64,
    /// Failed and dropped requests so far.
    pub lost: AtomicU64,
    recent: Mutex<Counts>,
    /// Set by a watcher: enough was seen, and the run may end before its time.
    pub enough: AtomicBool,
    asked: AtomicU64,
    started: OnceLock<SystemTime>,
    shown: Mutex<Vec<(u64, Record)>>,
    /// Requests of a closed loop that were begun.
    begun: Arc<AtomicU64>,
}

impl Live {
    /// When the schedule begins, or began; `None` before that is known.
    pub fn started(&self) -> Option<SystemTime> {
        self.started.get().copied()
    }

    /// Response times since the last call.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut *self.recent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the senders for what they have counted, which takes them up to a tenth of a second.
    pub fn ask(&self) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.asked.fetch_add(1, Ordering::Release);
    }

    /// What all `senders` had counted when asked; `None` until the last has answered. Requests
    /// without an answer are not in it yet.
    pub fn answered(&self, senders: usize) -> Option<Record> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = self.asked.load(Ordering::Acquire);
        let mut parts = shown.iter().filter(|(n, _)| *n == asked).map(|(_, r)| r);
        if parts.clone().count() < senders {
            return None;
        }
        let mut whole = parts.next()?.clone();
        parts.for_each(|part| whole.merge(part));
        Some(whole)
    }
}

/// What a run left behind.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The counts of the run, by interval.
    pub record: Record,
    /// The sender threads; empty where they ran the inferences themselves, and are no client apart from the target.
    pub health: Vec<Health>,
    /// Share of processor time, 0 to 1, that the hypervisor gave to others; `None` where the system does not show it.
    pub stolen: Option<f64>,
    /// Stops of the control groups for their quota; `None` where the system does not show them.
    pub quota_stops: Option<QuotaStops>,
    /// Cores that other processes of this machine used; `None` where the system does not show it.
    pub others: Option<f64>,
    /// The number of processors of this machine.
    pub processors: usize,
    /// When the schedule began.
    pub started: SystemTime,
    /// Length of the schedule in seconds; shorter than planned where it was stopped.
    pub seconds: f64,
    /// Whether it was stopped before its time.
    pub stopped: bool,
    /// Whether it ended before its time because its percentile was known closely enough.
    pub enough: bool,
}

/// Longest sleep of a sender, so that it sees that it should stop.
const NAP: Duration = Duration::from_millis(100);

/// Runs `plan` against `target` until its time is over or `stop` is set.
pub fn drive(
    plan: &Plan,
    target: &Prepared,
    stop: &AtomicBool,
    live: &Live,
) -> std::io::Result<Outcome> {
    raise_file_limit();
    let lead = plan.start_at.map_or(Duration::from_millis(20), |at| {
        at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO)
    });
    let start = Instant::now() + lead;
    let started = *live.started.get_or_init(|| SystemTime::now() + lead);
    let before = Machine::now();
    let results = threads(plan, target, stop, live, start);
    let stopped = stop.load(Ordering::Relaxed);
    let enough = live.enough.load(Ordering::Relaxed);
    let mut record = Record::new(plan.span());
    let mut health = Vec::new();
    for result in results {
        let (part, how) = result?;
        record.merge(&part);
        health.push(how);
    }
    let ended = health.iter().map(|h| h.wall).fold(0.0, f64::max);
    let early = stopped || enough || plan.requests.is_some();
    let planned = plan.duration.as_secs_f64();
    let seconds = if early { ended.min(planned) } else { planned };
    record.reach(nanoseconds(Duration::from_secs_f64(seconds)));
    let after = Machine::now();
    Ok(Outcome {
        record,
        stolen: after.stolen_since(&before),
        quota_stops: after.stops_since(&before),
        others: after.others_since(&before),
        processors: after.ticks.map_or(1, |t| t.processors),
        started,
        seconds,
        stopped,
        enough: enough && !stopped,
        health: if target.is_inline() { Vec::new() } else { health },
    })
}

/// Runs the sender threads, with one that reads a large data set ahead of them.
fn threads(
    plan: &Plan,
    target: &Prepared,
    stop: &AtomicBool,
    live: &Live,
    start: Instant,
) -> Vec<std::io::Result<(Record, Health)>> {
    let senders = plan.senders.max(1);
    let ahead = target.requests.ahead().map(Arc::new);
    let (ahead, sequences) = (ahead.as_ref(), Sequences::new());
    std::thread::scope(|scope| {
        if let Some(ahead) = ahead {
            let Stripe { index, of } = plan.stripe;
            scope.spawn(move || ahead.work(index, of));
        }
        let sender = |index| {
            let sender =
                SenderPlan { plan, target, stop, live, start, index, senders, ahead, sequences };
            scope.spawn(move || sender.run())
        };
        let all: Vec<_> = (0..senders).map(sender).collect();
        let lost = || Err(std::io::Error::other("a sender thread panicked"));
        let results = all.into_iter().map(|t| t.join().unwrap_or_else(|_| lost())).collect();
        if let Some(ahead) = ahead {
            ahead.end();
        }
        results
    })
}

/// What the kernel has counted of this machine, for what happens on it beside a run.
struct Machine {
    at: Instant,
    ticks: Option<Ticks>,
    /// Ticks of this process.
    own: Option<u64>,
    quota: Option<cgroup::QuotaStops>,
}

impl Machine {
    fn now() -> Self {
        let proc = Proc::default();
        Self {
            at: Instant::now(),
            ticks: proc.ticks(),
            own: proc.stat(std::process::id()).map(|stat| stat.own),
            quota: ControlGroups::default().quota_stops(),
        }
    }

    /// Share of processor time that the hypervisor gave to others since an earlier reading.
    fn stolen_since(&self, earlier: &Self) -> Option<f64> {
        self.ticks.zip(earlier.ticks).map(|(to, from)| to.stolen_share(from))
    }

    /// Stops for a quota since an earlier reading.
    fn stops_since(&self, earlier: &Self) -> Option<QuotaStops> {
        let stops = self.quota.zip(earlier.quota).map(|(to, from)| to.since(from));
        stops.map(|s| QuotaStops { count: s.count, seconds: s.seconds })
    }

    /// Cores that other processes used since an earlier reading.
    fn others_since(&self, earlier: &Self) -> Option<f64> {
        let busy = self.ticks?.busy.saturating_sub(earlier.ticks?.busy);
        let others = busy.saturating_sub(self.own?.saturating_sub(earlier.own?));
        let seconds = (self.at - earlier.at).as_secs_f64().max(1e-3);
        Some(others as f64 / ticks_per_second() / seconds)
    }
}

struct SenderPlan<'a> {
    plan: &'a Plan,
    target: &'a Prepared,
    stop: &'a AtomicBool,
    live: &'a Live,
    start: Instant,
    index: usize,
    senders: usize,
    ahead: Option<&'a Arc<Ahead>>,
    sequences: Sequences,
}

/// Where the numbers of sequences begin, so that those of several clients and runs differ.
#[derive(Clone, Copy)]
struct Sequences(i64);

impl Sequences {
    fn new() -> Self {
        // Positive, and with room for all that follow.
        let begin = unlike_others() >> 2;
        Self(i64::try_from(begin).unwrap_or(0) | 1)
    }

    /// The request that a slot of so many sends after `sent` others, in sequences of `length`: its number, and its
    /// place in its sequence.
    fn step(self, slot: u64, slots: u64, sent: u64, length: u64) -> (u64, Step) {
        let length = length.max(1);
        let (own, at) = (sent / length, sent % length);
        let sequence = own.saturating_mul(slots).saturating_add(slot);
        let id = self.0.saturating_add_unsigned(sequence);
        let number = sequence.saturating_mul(length).saturating_add(at);
        (number, Step { id, starts: at == 0, ends: at + 1 == length })
    }
}

/// What the requests of a sender thread share.
struct Sender {
    client: Client,
    target: Prepared,
    record: RefCell<Record>,
    start: Instant,
    timeout: Duration,
    limits: Vec<(Metric, u64)>,
    in_flight: Cell<usize>,
    checker: RefCell<Checker>,
    done: tokio::sync::Notify,
    good: Cell<u64>,
    lost: Cell<u64>,
    recent: RefCell<Counts>,
    /// The last time it was asked for its record.
    shown: Cell<u64>,
    /// Requests that all senders have begun, and the number at which a closed loop ends.
    begun: Arc<AtomicU64>,
    most: Option<u64>,
    stripe: Stripe,
    ahead: Option<Arc<Ahead>>,
}

impl SenderPlan<'_> {
    fn run(self) -> std::io::Result<(Record, Health)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Sockets are looked at more often than the default of every 61 tasks.
            .event_interval(16)
            .build()?;
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let sender = Rc::new(Sender {
                client: self.target.client(),
                target: self.target.clone(),
                record: RefCell::new(Record::new(self.plan.span())),
                start: self.start,
                timeout: self.plan.timeout,
                limits: self.plan.limits.clone(),
                in_flight: Cell::new(0),
                checker: RefCell::new(Checker::new(self.target.answers_vary)),
                done: tokio::sync::Notify::new(),
                good: Cell::new(0),
                lost: Cell::new(0),
                recent: RefCell::default(),
                shown: Cell::new(0),
                begun: self.live.begun.clone(),
                most: self.plan.requests,
                stripe: self.plan.stripe,
                ahead: self.ahead.cloned(),
            });
            let early =
                self.start.saturating_duration_since(Instant::now() + Duration::from_millis(2));
            tokio::time::sleep(early).await;
            let before = Health::now();
            match &self.plan.load {
                Load::Open(arrival) => self.open(&sender, arrival).await?,
                Load::Closed(slots) => self.closed(&sender, *slots).await,
            }
            let mut health = Health::since(before);
            health.wall = self.start.elapsed().as_secs_f64();
            // Every request ends by its own timeout.
            while sender.in_flight.get() > 0 {
                let _ = tokio::time::timeout(NAP, sender.done.notified()).await;
                self.publish(&sender);
            }
            self.publish(&sender);
            let mut record = sender.record.replace(Record::with_step(1));
            record.connections = sender.client.opened();
            Ok((record, health))
        })
    }

    async fn open(&self, sender: &Rc<Sender>, arrival: &Arrival) -> std::io::Result<()> {
        let stripe = self.plan.stripe.part(self.index as u64, self.senders as u64);
        let cap = self.plan.max_in_flight.div_ceil(self.senders);
        let timeout = nanoseconds(self.plan.timeout);
        let mut pacer = Pacer::new()?;
        let mut shown = Instant::now();
        for due in arrival.schedule(self.plan.seed, self.plan.duration, stripe) {
            let at = self.start + Duration::from_nanos(due.at);
            while Instant::now() + NAP < at && !self.stopped() {
                pacer.until(Instant::now() + NAP).await?;
                self.publish(sender);
            }
            if self.stopped() {
                break;
            }
            pacer.until(at).await?;
            let request = sender.made(due.number);
            if shown.elapsed() > NAP {
                self.publish(sender);
                shown = Instant::now();
            }
            let mut record = sender.record.borrow_mut();
            record.fingerprint.add(due);
            let now = sender.now();
            let unsent = if now.saturating_sub(due.at) > timeout {
                Some(Fault::Late)
            } else {
                (sender.in_flight.get() >= cap).then_some(Fault::Dropped)
            };
            if let Some(fault) = unsent {
                record.unsent(due.at, now, fault);
                sender.lost.set(sender.lost.get() + 1);
                continue;
            }
            record.began(now);
            sender.in_flight.set(sender.in_flight.get() + 1);
            drop(record);
            let sender = sender.clone();
            tokio::task::spawn_local(async move { sender.request(due, now, request).await });
        }
        // The schedule ends with its time, not with its last request.
        let end = self.start + self.plan.duration;
        while Instant::now() < end && !self.stopped() {
            pacer.until(end.min(Instant::now() + NAP)).await?;
            self.publish(sender);
        }
        Ok(())
    }

    async fn closed(&self, sender: &Rc<Sender>, slots: usize) {
        let of = usize::try_from(self.plan.stripe.of).unwrap_or(1) * self.senders;
        let first =
            usize::try_from(self.plan.stripe.index).unwrap_or(0) * self.senders + self.index;
        let own = slots / of + usize::from(first < slots % of);
        if let Client::Inline(runtime) = &sender.client {
            if own > 0 {
                self.inline(sender, &**runtime);
            }
            return;
        }
        let end = nanoseconds(self.plan.duration);
        let over = Rc::new(Cell::new(false));
        let length = self.target.sequence;
        let tasks: Vec<_> = (0..own)
            .map(|slot| {
                let (sender, over) = (sender.clone(), over.clone());
                let (own, sequences) = ((first + slot * of) as u64, self.sequences);
                let mut sent = 0;
                tokio::task::spawn_local(async move {
                    tokio::time::sleep_until(sender.start.into()).await;
                    while !over.get() && sender.now() < end {
                        let Some(number) = sender.take_one() else { break };
                        let step =
                            length.map(|length| sequences.step(own, slots as u64, sent, length));
                        let (number, request) = sender.next(number, step);
                        sent += 1;
                        let now = sender.now();
                        sender.record.borrow_mut().began(now);
                        sender.in_flight.set(sender.in_flight.get() + 1);
                        let good = sender.request(Due { number, at: now }, now, request).await;
                        if !good {
                            // A server that refuses at once is not asked a million times.
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                    }
                })
            })
            .collect();
        let done = |tasks: &[tokio::task::JoinHandle<()>]| {
            tasks.iter().all(tokio::task::JoinHandle::is_finished)
        };
        while sender.now() < end && !self.stopped() && !done(&tasks) {
            tokio::time::sleep(NAP.min(Duration::from_nanos(end - sender.now().min(end)))).await;
            self.publish(sender);
        }
        over.set(true);
        for task in tasks {
            let _ = task.await;
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.live.enough.load(Ordering::Relaxed)
    }

    /// Hands what happened since the last time to whoever watches.
    fn publish(&self, sender: &Sender) {
        self.live.good.fetch_add(sender.good.take(), Ordering::Relaxed);
        self.live.lost.fetch_add(sender.lost.take(), Ordering::Relaxed);
        let recent = sender.recent.take();
        self.live.recent.lock().unwrap_or_else(PoisonError::into_inner).add(&recent);
        let asked = self.live.asked.load(Ordering::Acquire);
        if asked > sender.shown.replace(asked) {
            let record = sender.record.borrow().clone();
            self.live.shown.lock().unwrap_or_else(PoisonError::into_inner).push((asked, record));
        }
    }
}

impl Sender {
    /// Nanoseconds since the start; zero before it.
    fn now(&self) -> u64 {
        nanoseconds(self.start.elapsed())
    }

    /// The number of the next request of a closed loop, which counts as begun then; `None` where no other may begin.
    fn take_one(&self) -> Option<u64> {
        let own = self.begun.fetch_add(1, Ordering::Relaxed);
        let more = self.most.is_none_or(|most| own < most);
        let Stripe { index, of } = self.stripe;
        more.then(|| own.saturating_mul(of).saturating_add(index))
    }

    /// The request of a number, which was read before where that takes time. What is read only now makes the sender
    /// late, and is counted.
    fn made(&self, number: u64) -> Result<Encoded, Failure> {
        let Some(ahead) = &self.ahead else { return self.target.requests.make(number) };
        let (request, ready) = ahead.take(number);
        self.record.borrow_mut().read_late += u64::from(!ready);
        request
    }

    /// The request of a number, or that of a step of a sequence, which has a number of its own.
    fn next(&self, number: u64, step: Option<(u64, Step)>) -> (u64, Result<Encoded, Failure>) {
        let Some((number, step)) = step else { return (number, self.made(number)) };
        (number, self.made(number).map(|request| self.target.step(&request, step)))
    }

    /// Sends one request and counts it; says whether its answer was good.
    async fn request(&self, due: Due, began: u64, request: Result<Encoded, Failure>) -> bool {
        let watch = Watch {
            sender: self,
            sent: Cell::new(None),
            reader: RefCell::new(self.target.reader()),
            spent: Cell::new(0),
        };
        let deadline = self.start + Duration::from_nanos(due.at) + self.timeout;
        let call = async {
            let request = request.as_ref().map_err(Clone::clone)?;
            self.client.call(request, &watch).await
        };
        let outcome = tokio::time::timeout_at(deadline.into(), call).await;
        let arrived = self.now();
        let sent = watch.sent.get();
        let (mut heard, cut_off) = watch.end(outcome.as_ref().is_ok_and(Result::is_ok));
        let (ended, fault) = match outcome {
            Ok(Ok((answer, span))) => {
                self.received(due, &answer, span, heard.as_mut(), sent.unwrap_or(began), arrived)
            }
            // What the server said of itself comes before how the connection ended.
            Ok(Err(failure)) => (arrived, Some(cut_off.unwrap_or(failure))),
            Err(_) => {
                let state = if sent.is_some() { "sent" } else { "not yet sent" };
                let text = format!("no answer in {:?}; the request was {state}", self.timeout);
                (arrived, Some(cut_off.unwrap_or((Fault::Timeout, text))))
            }
        };
        let sample = Sample { due: due.at, began, sent: sent.unwrap_or(ended), ended };
        self.record.borrow_mut().bytes_sent += request.as_ref().map_or(0, Encoded::len);
        let pieces = heard.map(|read| read.heard.pieces).unwrap_or_default();
        let good = self.count(arrived, sample, &pieces, fault);
        self.in_flight.set(self.in_flight.get() - 1);
        self.done.notify_one();
        good
    }

    /// Counts a request whose end was seen at `arrived`; says whether it was successful.
    fn count(&self, arrived: u64, sample: Sample, pieces: &Pieces, fault: Option<Failure>) -> bool {
        let good = fault.is_none();
        if good {
            self.good.set(self.good.get() + 1);
            self.recent.borrow_mut().record(sample.ended.saturating_sub(sample.due));
        } else {
            self.lost.set(self.lost.get() + 1);
        }
        self.record.borrow_mut().streamed(arrived, sample, pieces, &self.limits, fault);
        good
    }

    /// Counts an answer and looks into it: when it ended, by the clock of the runtime where that is in this
    /// process, and what is wrong with it.
    fn received(
        &self,
        due: Due,
        answer: &Answer,
        span: Span,
        mut heard: Option<&mut Read>,
        sent: u64,
        arrived: u64,
    ) -> (u64, Option<Failure>) {
        let (mut ended, mut fault) = (arrived, None);
        let mut stages = Vec::new();
        if let Some((from, to)) = span {
            let since = |t: Instant| nanoseconds(t.saturating_duration_since(self.start));
            ended = since(to);
            stages.push(("queue", since(from).saturating_sub(sent)));
            stages.push(("compute", ended - since(from).min(ended)));
        }
        stages.extend(answer.timing.iter().flat_map(|t| http::stages(t)));
        let mut checker = self.checker.borrow_mut();
        let checked = match &mut heard {
            // It was read in full while it arrived.
            Some(read) => Checked::Read(read.heard.fault.take(), read.spent),
            None => checker.check(answer, arrived, || self.target.check(answer).err()),
        };
        let mut record = self.record.borrow_mut();
        record.bytes_received += answer.size;
        record.responses += answer.responses();
        match checked {
            Checked::Read(found, took) => {
                fault = found;
                record.checked += 1;
                record.check_time += took;
                for (name, nanoseconds) in heard.iter().flat_map(|read| &read.heard.stages) {
                    record.stage(due.at, name, *nanoseconds);
                }
            }
            Checked::Compared(found) => {
                fault = found;
                let took = self.now() - arrived;
                checker.spent(took);
                record.checked += 1;
                record.check_time += took;
            }
            Checked::Same(found) => {
                fault = found;
                record.same += 1;
            }
            Checked::Skipped => record.unchecked += 1,
        }
        for (name, nanoseconds) in stages {
            record.stage(due.at, name, nanoseconds);
        }
        (ended, fault)
    }
}

/// Follows a request while it goes on.
struct Watch<'a> {
    sender: &'a Sender,
    sent: Cell<Option<u64>>,
    reader: RefCell<Option<Box<dyn Reader>>>,
    /// Nanoseconds that reading took so far.
    spent: Cell<u64>,
}

/// What was read of an answer while it arrived.
struct Read {
    heard: Heard,
    /// Nanoseconds that reading took.
    spent: u64,
}

impl Watch<'_> {
    /// What was read of a whole answer; of one that was cut off, what it said of its failure.
    fn end(self, whole: bool) -> (Option<Read>, Option<Failure>) {
        let Some(reader) = self.reader.into_inner() else { return (None, None) };
        if whole {
            return (Some(Read { heard: reader.end(), spent: self.spent.get() }), None);
        }
        (None, reader.failure())
    }
}

impl http::Listener for Watch<'_> {
    fn sent(&self) {
        self.sent.set(Some(self.sender.now()));
    }

    fn streams(&self) -> bool {
        self.reader.borrow().is_some()
    }

    fn hear(&self, piece: &[u8]) {
        let now = self.sender.now();
        if let Some(reader) = self.reader.borrow_mut().as_mut() {
            reader.hear(piece, now);
        }
        self.spent.set(self.spent.get() + self.sender.now().saturating_sub(now));
    }
}

impl Health {
    /// Processor and waiting time of this thread so far, as the kernel accounts them.
    fn now() -> Self {
        let thread = Proc::default().thread().unwrap_or_default();
        Self { wall: 0.0, cpu: thread.running, waited: thread.waiting }
    }

    fn since(before: Self) -> Self {
        let now = Self::now();
        Self { wall: 0.0, cpu: now.cpu - before.cpu, waited: now.waited - before.waited }
    }
}

/// As many open files as the system lets this process have: each request in flight may need one.
fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // Not being allowed to shows as failed connections.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}
