//! The requests of a load: some that are encoded beforehand and sent in turn, or those of a data set, which are read
//! and encoded shortly before they are due where they are too many to be kept.

use super::TargetError;
use crate::connector::Encoded;
use crate::data::{Order, Record, Records};
use crate::record::Fault;
use crate::stream::Failure;
use bytes::Bytes;
use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Where the requests of a load come from.
pub(crate) trait Source: Send + Sync {
    /// The request of a number.
    fn request(&self, number: u64) -> Result<Encoded, TargetError>;
    /// The different inputs that there are, and how many of them a request takes, and in which order.
    fn inputs(&self) -> Drawn;
    /// Whether making a request takes reading and encoding.
    fn is_slow(&self) -> bool {
        false
    }
}

/// How inputs are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    /// Different inputs.
    pub(crate) count: u64,
    /// Inputs of one request.
    pub(crate) each: u64,
    pub(crate) order: Order,
    /// Whether they are those of a data set.
    pub(crate) data: bool,
}

/// The requests of a load.
#[derive(Clone)]
pub(crate) struct Requests {
    source: Arc<dyn Source>,
    first: Encoded,
    /// What they need as long as they are sent.
    _needs: Option<Arc<dyn Any + Send + Sync>>,
}

impl Requests {
    /// Makes the first one.
    pub(crate) fn new(source: Arc<dyn Source>) -> Result<Self, TargetError> {
        let first = source.request(0)?;
        Ok(Self { source, first, _needs: None })
    }

    /// Some that are sent in turn; one at least.
    pub(crate) fn variants(all: Vec<Encoded>) -> Self {
        let first = all.first().cloned().unwrap_or(Encoded::Local);
        let encoded = |request: &Encoded| match request {
            Encoded::Http(request) => request.bytes.clone(),
            Encoded::Grpc(call) => call.message.clone(),
            Encoded::Local => Bytes::new(),
        };
        let distinct = all.iter().map(encoded).collect::<HashSet<_>>().len() as u64;
        let drawn = Drawn { count: distinct, each: 1, order: Order::Sequential, data: false };
        Self { source: Arc::new(Kept { all, drawn }), first, _needs: None }
    }

    /// The same with something that they need as long as they are sent.
    pub(crate) fn needing(self, what: Option<Arc<dyn Any + Send + Sync>>) -> Self {
        Self { _needs: what, ..self }
    }

    /// The first.
    pub(crate) fn first(&self) -> &Encoded {
        &self.first
    }

    pub(crate) fn inputs(&self) -> Drawn {
        self.source.inputs()
    }

    /// Whether making a request takes reading and encoding.
    pub(crate) fn is_slow(&self) -> bool {
        self.source.is_slow()
    }

    /// The request of a number, made now.
    pub(crate) fn make(&self, number: u64) -> Result<Encoded, Failure> {
        self.source.request(number).map_err(|error| (Fault::Input, error.message))
    }

    /// Those that are read before they are due, where that takes time.
    pub(crate) fn ahead(&self) -> Option<Ahead> {
        self.source.is_slow().then(|| Ahead::new(self.clone()))
    }
}

/// A data set that requests are drawn from.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// The records.
    pub records: Arc<dyn Records>,
    /// The order in which they are used.
    pub order: Order,
    /// The input that a record is, where the model has several and a record is one of them.
    pub input: Option<String>,
}

/// A data set of so many bytes and records is encoded before the load.
const KEPT: (u64, u64) = (64 << 20, 1 << 16);

/// Makes a request of records.
pub(crate) type Encode = Box<dyn Fn(&[Record]) -> Result<Encoded, TargetError> + Send + Sync>;

struct FromData {
    set: DataSet,
    /// Records of a request.
    each: u64,
    encode: Encode,
}

impl FromData {
    fn read(&self, at: u64) -> Result<Record, TargetError> {
        self.set.records.record(at).map_err(|e| TargetError::new(e.message, e.hint))
    }
}

impl Source for FromData {
    fn request(&self, number: u64) -> Result<Encoded, TargetError> {
        let first = number.saturating_mul(self.each);
        let count = self.set.records.count();
        let turns = first..first.saturating_add(self.each);
        let records = turns.map(|turn| self.read(self.set.order.place(turn, count)));
        (self.encode)(&records.collect::<Result<Vec<_>, _>>()?)
    }

    fn inputs(&self) -> Drawn {
        let (count, order) = (self.set.records.count(), self.set.order);
        Drawn { count, each: self.each, order, data: true }
    }

    fn is_slow(&self) -> bool {
        true
    }
}

/// Requests that are encoded: variants, or a small data set.
struct Kept {
    all: Vec<Encoded>,
    /// Of variants, those that differ count: inputs that are given are the same in all.
    drawn: Drawn,
}

impl Source for Kept {
    fn request(&self, number: u64) -> Result<Encoded, TargetError> {
        let place = self.drawn.order.place(number, self.all.len() as u64);
        let at = usize::try_from(place).unwrap_or(0);
        Ok(self.all.get(at).cloned().unwrap_or(Encoded::Local))
    }

    fn inputs(&self) -> Drawn {
        self.drawn
    }
}

/// Requests of a data set with so many records in each: of a small one all are encoded now, which shows every record
/// that does not fit; of a large one each shortly before it is due.
pub(crate) fn of_data(set: &DataSet, each: u64, encode: Encode) -> Result<Requests, TargetError> {
    let source = FromData { set: set.clone(), each: each.max(1), encode };
    let (count, size) = (set.records.count(), set.records.size());
    if each > 1 || size > KEPT.0 || count > KEPT.1 {
        return Requests::new(Arc::new(source));
    }
    let encoded = (0..count).map(|at| (source.encode)(&[source.read(at)?]));
    let (all, drawn) = (encoded.collect::<Result<_, _>>()?, source.inputs());
    Requests::new(Arc::new(Kept { all, drawn }))
}

/// Bytes and requests that are read ahead, at most.
const AHEAD: (u64, usize) = (64 << 20, 1024);

/// Requests that a thread of its own reads and encodes before they are due.
pub(crate) struct Ahead {
    requests: Requests,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Made, and not yet taken.
    ready: HashMap<u64, Result<Encoded, Failure>>,
    bytes: u64,
    /// The number that is being made.
    making: Option<u64>,
    /// No smaller number will be made here.
    next: u64,
    over: bool,
}

impl Ahead {
    fn new(requests: Requests) -> Self {
        Self { requests, state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the requests `first`, `first + step` and so on, until [`Self::end`].
    pub(crate) fn work(&self, first: u64, step: u64) {
        let (mut number, step) = (first, step.max(1));
        loop {
            let mut state = self.state();
            while !state.over && (state.bytes > AHEAD.0 || state.ready.len() >= AHEAD.1) {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.over {
                return;
            }
            // What the senders made themselves is not made again.
            number += step * state.next.saturating_sub(number).div_ceil(step);
            state.making = Some(number);
            drop(state);
            let made = self.requests.make(number);
            let mut state = self.state();
            state.bytes += made.as_ref().map_or(0, Encoded::len);
            state.ready.insert(number, made);
            state.making = None;
            state.next = state.next.max(number + 1);
            drop(state);
            self.changed.notify_all();
            number = number.saturating_add(step);
        }
    }

    /// The request of a number, and whether it was ready. One that is not is made here.
    pub(crate) fn take(&self, number: u64) -> (Result<Encoded, Failure>, bool) {
        let mut state = self.state();
        let mut ready = true;
        loop {
            if let Some(made) = state.ready.remove(&number) {
                state.bytes -= made.as_ref().map_or(0, Encoded::len);
                drop(state);
                self.changed.notify_all();
                return (made, ready);
            }
            ready = false;
            if state.making != Some(number) {
                break;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.next = state.next.max(number + 1);
        drop(state);
        (self.requests.make(number), false)
    }

    /// Ends [`Self::work`].
    pub(crate) fn end(&self) {
        self.state().over = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataError, Kind};
    use crate::http::Request;

    /// Records that say their number.
    #[derive(Debug)]
    struct Numbers(u64);

    impl Records for Numbers {
        fn count(&self) -> u64 {
            self.0
        }

        fn size(&self) -> u64 {
            8 * self.0
        }

        fn record(&self, at: u64) -> Result<Record, DataError> {
            let bytes = at.to_string().into();
            Ok(Record { name: format!("line {at}"), kind: Kind::Json, bytes })
        }
    }

    fn requests(count: u64, each: u64, order: Order) -> Requests {
        let set = DataSet { records: Arc::new(Numbers(count)), order, input: None };
        let encode = |records: &[Record]| {
            let bodies: Vec<_> = records.iter().map(|r| r.bytes.to_vec()).collect();
            Ok(Encoded::Http(Request::new("POST", "/", "h", &[], &bodies.join(&b','))))
        };
        of_data(&set, each, Box::new(encode)).unwrap()
    }

    fn body(request: &Encoded) -> String {
        let Encoded::Http(request) = request else { panic!("{request:?}") };
        let text = String::from_utf8_lossy(&request.bytes).into_owned();
        text.split("\r\n\r\n").nth(1).unwrap().to_owned()
    }

    #[test]
    fn records_come_in_their_order_whether_kept_or_read() {
        for (count, each) in [(5, 1), (5, 2), (100_000, 1)] {
            let requests = requests(count, each, Order::Sequential);
            assert_eq!(requests.ahead().is_some(), each > 1 || count > KEPT.1);
            for number in 0..7 {
                let records = (number * each..(number + 1) * each).map(|n| (n % count).to_string());
                let wanted = records.collect::<Vec<_>>().join(",");
                assert_eq!(body(&requests.make(number).unwrap()), wanted);
            }
        }
    }

    #[test]
    fn what_is_read_ahead_is_what_is_asked_for() {
        let all = requests(100_000, 1, Order::Random(3));
        let ahead = all.ahead().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| ahead.work(2, 3));
            let mut found = 0;
            for k in 0..5000 {
                let number = 2 + 3 * k;
                let (request, ready) = ahead.take(number);
                found += u64::from(ready);
                assert_eq!(body(&request.unwrap()), body(&all.make(number).unwrap()));
            }
            assert!(ahead.state().ready.len() <= AHEAD.1 + 1, "bounded");
            let _ = ahead.take(1_000_000);
            ahead.end();
            assert!(found > 0);
        });
    }
}
