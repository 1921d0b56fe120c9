//! Stripes of one schedule agree on when to start: the first of them waits at an address until all have come, and
//! gives each the time that is left. No clock but each machine's own is used, so that clocks need not agree.

use super::arrival::Stripe;
use super::random::unlike_others;
use rooflens_ground::text::fingerprint;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Where stripes meet: the host of the first, and a port of it that the others can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// Host name or address of stripe 0.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How long stripes wait for each other.
    pub patience: Duration,
}

/// What stripes agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// When they start, by this machine's clock.
    pub start: SystemTime,
    /// A name for this run of all of them, which no other run has.
    pub name: String,
}

/// Why stripes did not meet.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MeetingError {
    /// Some stayed away.
    #[error("stripe {missing} of {of} did not come within {seconds:.0} s")]
    Missing {
        /// Numbers of those that did not come.
        missing: String,
        /// All that there are.
        of: u64,
        /// How long the first waited.
        seconds: f64,
    },
    /// The first is not to be found.
    #[error("stripe 0 is not at {0}: {1}")]
    Nobody(String, String),
    /// The first did not take this one, and why.
    #[error("stripe 0 refused this one: {0}")]
    Refused(String),
    /// The address is not this machine's to use.
    #[error("stripe 0 cannot listen on port {0}: {1}")]
    Port(u16, String),
    /// Ended from outside.
    #[error("stopped while waiting for the other stripes")]
    Stopped,
}

impl MeetingError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "start all N of --stripe K/N with the same --meet; --meet-patience waits longer"
            }
            Self::Nobody(..) => {
                "--meet names the host of stripe 0, and its port must be reachable from the others"
            }
            Self::Refused(_) => {
                "give all stripes the same load, seed, time and N, and start them all again"
            }
            Self::Port(..) => "choose a port above 1023 that nothing else uses",
            Self::Stopped => "start all stripes again",
        }
    }
}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// The time that the start lies ahead when the last has come.
const AHEAD: Duration = Duration::from_secs(1);
/// Who says nothing for so long is no stripe.
const SILENT: Duration = Duration::from_secs(5);
/// Bytes of a line, at most.
const LINE: usize = 256;
/// Connections that have not yet said what they are, at most.
const UNKNOWN: usize = 64;
/// First word of a line: name and version of this exchange.
const HELLO: &str = "rooflens-meeting/1";

impl Meeting {
    /// Waits until all stripes of a plan are there. `plan` says in a line what they must have in common; `seen` hears
    /// how many are there.
    pub fn attend(
        &self,
        stripe: Stripe,
        plan: &str,
        stop: &AtomicBool,
        seen: &mut dyn FnMut(u64),
    ) -> Result<Agreed, MeetingError> {
        let plan = fingerprint(plan);
        if stripe.index == 0 {
            self.lead(stripe.of, &plan, stop, seen)
        } else {
            self.follow(stripe, &plan, stop)
        }
    }

    fn lead(
        &self,
        of: u64,
        plan: &str,
        stop: &AtomicBool,
        seen: &mut dyn FnMut(u64),
    ) -> Result<Agreed, MeetingError> {
        let refused = |e: io::Error| MeetingError::Port(self.port, e.to_string());
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, self.port))
            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port)))
            .map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let begin = Instant::now();
        let mut room = Room { of, plan, there: BTreeMap::new(), unknown: Vec::new() };
        while room.there.len() as u64 + 1 < of {
            if stop.load(Ordering::Relaxed) {
                return Err(MeetingError::Stopped);
            }
            if begin.elapsed() > self.patience {
                let missing = (1..of).filter(|k| !room.there.contains_key(k));
                let missing: Vec<String> = missing.map(|k| k.to_string()).collect();
                let seconds = self.patience.as_secs_f64();
                return Err(MeetingError::Missing { missing: missing.join(", "), of, seconds });
            }
            room.look(&listener);
            seen(room.there.len() as u64 + 1);
            std::thread::sleep(LOOK);
        }
        let name = name();
        let start = Instant::now() + AHEAD;
        for (index, stream) in &mut room.there {
            let left = start.saturating_duration_since(Instant::now()).as_nanos();
            if say(stream, &format!("start {left} {name}")).is_err() {
                let (missing, seconds) = (index.to_string(), begin.elapsed().as_secs_f64());
                return Err(MeetingError::Missing { missing, of, seconds });
            }
        }
        keep_door(listener);
        let left = start.saturating_duration_since(Instant::now());
        Ok(Agreed { start: SystemTime::now() + left, name })
    }

    fn follow(
        &self,
        stripe: Stripe,
        plan: &str,
        stop: &AtomicBool,
    ) -> Result<Agreed, MeetingError> {
        let begin = Instant::now();
        let address = format!("{}:{}", self.host, self.port);
        let hello = format!("{HELLO} {} {} {plan}", stripe.index, stripe.of);
        loop {
            let why = match self.ask(&hello, stop) {
                Ok(agreed) => return Ok(agreed),
                Err(Asked::Over(error)) => return Err(error),
                Err(Asked::Again(why)) => why,
            };
            if stop.load(Ordering::Relaxed) {
                return Err(MeetingError::Stopped);
            }
            if begin.elapsed() > self.patience {
                return Err(MeetingError::Nobody(address, why.to_string()));
            }
            std::thread::sleep(10 * LOOK);
        }
    }

    /// Asks the first stripe once, and waits for as long as it does.
    fn ask(&self, hello: &str, stop: &AtomicBool) -> Result<Agreed, Asked> {
        let addresses = (self.host.as_str(), self.port).to_socket_addrs()?;
        let mut stream = Err(io::Error::other("its name has no address"));
        for address in addresses {
            stream = stream.or_else(|_| TcpStream::connect_timeout(&address, SILENT));
        }
        let mut stream = stream?;
        say(&mut stream, hello)?;
        stream.set_nonblocking(true)?;
        let mut heard = Vec::new();
        let line = loop {
            if let Some(line) = hear(&mut stream, &mut heard)? {
                break line;
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Asked::Over(MeetingError::Stopped));
            }
            std::thread::sleep(LOOK / 10);
        };
        let now = SystemTime::now();
        let mut words = line.splitn(3, ' ');
        let left = match (words.next(), words.next().map(str::parse::<u64>)) {
            (Some("start"), Some(Ok(left))) => Duration::from_nanos(left),
            (Some("refused"), _) => {
                let why = line.trim_start_matches("refused ").to_owned();
                return Err(Asked::Over(MeetingError::Refused(why)));
            }
            _ => return Err(io::Error::other("something else answers there").into()),
        };
        let name = words.next().unwrap_or_default().to_owned();
        let start = now.checked_add(left).filter(|_| left <= 10 * AHEAD);
        let start = start.ok_or_else(|| io::Error::other("its start is too far ahead"))?;
        Ok(Agreed { start, name })
    }
}

/// What became of a question to the first stripe.
enum Asked {
    /// It may be asked again.
    Again(io::Error),
    /// It may not.
    Over(MeetingError),
}

impl From<io::Error> for Asked {
    fn from(error: io::Error) -> Self {
        Self::Again(error)
    }
}

/// Who is with the first stripe.
struct Room<'a> {
    of: u64,
    plan: &'a str,
    there: BTreeMap<u64, TcpStream>,
    unknown: Vec<(TcpStream, Vec<u8>, Instant)>,
}

impl Room<'_> {
    /// Lets in who has come, and lets go who has left.
    fn look(&mut self, listener: &TcpListener) {
        while self.unknown.len() < UNKNOWN {
            let Ok((stream, _)) = listener.accept() else { break };
            if stream.set_nonblocking(true).is_ok() {
                self.unknown.push((stream, Vec::new(), Instant::now()));
            }
        }
        for (mut stream, mut heard, since) in std::mem::take(&mut self.unknown) {
            match hear(&mut stream, &mut heard) {
                Ok(Some(line)) => match self.welcome(&line) {
                    Ok(index) => {
                        self.there.insert(index, stream);
                    }
                    Err(why) => {
                        let _ = say(&mut stream, &format!("refused {why}"));
                    }
                },
                Ok(None) if since.elapsed() < SILENT => self.unknown.push((stream, heard, since)),
                _ => {}
            }
        }
        // A stripe says nothing more: what can be read is its end.
        self.there.retain(|_, stream| matches!(hear(stream, &mut Vec::new()), Ok(None)));
    }

    /// The number of a stripe that belongs to this run.
    fn welcome(&self, line: &str) -> Result<u64, String> {
        let words: Vec<&str> = line.split(' ').collect();
        let [HELLO, index, of, plan] = words[..] else {
            return Err("another version of rooflens".into());
        };
        let number = |text: &str| text.parse::<u64>().ok();
        if number(of) != Some(self.of) || plan != self.plan {
            return Err("its load, seed, time or number of stripes is another".into());
        }
        match number(index) {
            Some(k) if (1..self.of).contains(&k) && !self.there.contains_key(&k) => Ok(k),
            Some(k) => Err(format!("stripe {k} of {} is there already", self.of)),
            None => Err("it has no number".into()),
        }
    }
}

/// Tells whoever comes after the start that it is too late, for as long as this process lives.
fn keep_door(listener: TcpListener) {
    let begin = Instant::now();
    let told = std::thread::Builder::new().name("late stripes".into()).spawn(move || {
        if listener.set_nonblocking(false).is_err() {
            return;
        }
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.set_read_timeout(Some(SILENT / 5));
            // What it says is read, so that closing does not throw away the answer.
            let _ = stream.read(&mut [0; LINE]);
            let seconds = begin.elapsed().as_secs_f64();
            let _ = say(&mut stream, &format!("refused all others began {seconds:.0} s ago"));
        }
    });
    // Without the thread, who is late waits for its patience to end.
    drop(told);
}

fn say(stream: &mut TcpStream, line: &str) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(format!("{line}\n").as_bytes())
}

/// A line, once all of it is there; an error at the end of the connection.
fn hear(stream: &mut TcpStream, heard: &mut Vec<u8>) -> io::Result<Option<String>> {
    let mut bytes = [0; LINE];
    match stream.read(&mut bytes) {
        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(n) => heard.extend_from_slice(&bytes[..n]),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
        Err(e) => return Err(e),
    }
    let Some(end) = heard.iter().position(|b| *b == b'\n') else {
        let long = heard.len() > LINE;
        return if long { Err(io::Error::other("its line is too long")) } else { Ok(None) };
    };
    let line = String::from_utf8_lossy(&heard[..end]);
    // It is shown to people.
    Ok(Some(line.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()))
}

/// A name that no other run has: the time, and what differs between processes.
fn name() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{:016x}", since.as_secs(), unlike_others())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    fn meeting(port: u16, seconds: f64) -> Meeting {
        Meeting { host: "127.0.0.1".into(), port, patience: Duration::from_secs_f64(seconds) }
    }

    fn attend(meeting: &Meeting, index: u64, of: u64, plan: &str) -> Result<Agreed, MeetingError> {
        meeting.attend(Stripe { index, of }, plan, &AtomicBool::new(false), &mut |_| {})
    }

    #[test]
    fn four_agree_though_one_is_late_and_one_comes_twice() {
        let meeting = meeting(free_port(), 30.0);
        // One that leaves again before the others are there, as a pod that is started anew.
        let left = std::thread::scope(|scope| {
            let come = |index, wait: u64| {
                let meeting = &meeting;
                scope.spawn(move || {
                    std::thread::sleep(Duration::from_millis(wait));
                    attend(meeting, index, 4, "poisson:100 seed 1")
                })
            };
            let all = [come(0, 150), come(1, 0), come(2, 2500), come(3, 1500)];
            std::thread::sleep(Duration::from_millis(400));
            let mut gone = TcpStream::connect(("127.0.0.1", meeting.port)).unwrap();
            let plan = fingerprint("poisson:100 seed 1");
            say(&mut gone, &format!("{HELLO} 3 4 {plan}")).unwrap();
            std::thread::sleep(Duration::from_millis(200));
            drop(gone);
            all.map(|thread| thread.join().unwrap().unwrap())
        });
        for other in &left[1..] {
            assert_eq!(other.name, left[0].name);
            let apart =
                other.start.max(left[0].start).duration_since(other.start.min(left[0].start));
            assert!(apart.unwrap() < Duration::from_millis(100), "{left:?}");
        }
        // Whoever comes now is late, and hears it at once.
        let begin = Instant::now();
        let late = attend(&meeting, 2, 4, "poisson:100 seed 1").unwrap_err();
        assert!(late.to_string().contains("all others began"), "{late}");
        assert!(begin.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn another_plan_and_a_double_are_refused_and_the_missing_are_named() {
        let meeting = meeting(free_port(), 1.5);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| attend(&meeting, 0, 4, "a"));
            let one = scope.spawn(|| attend(&meeting, 1, 4, "a"));
            std::thread::sleep(Duration::from_millis(500));
            let other = attend(&meeting, 2, 4, "b").unwrap_err().to_string();
            assert!(other.contains("load, seed, time"), "{other}");
            let twice = attend(&meeting, 1, 4, "a").unwrap_err().to_string();
            assert!(twice.contains("stripe 1 of 4 is there already"), "{twice}");
            let missing = first.join().unwrap().unwrap_err().to_string();
            assert!(missing.contains("stripe 2, 3 of 4 did not come within 2 s"), "{missing}");
            let nobody = one.join().unwrap().unwrap_err();
            assert!(matches!(nobody, MeetingError::Nobody(..)), "{nobody}");
        });
    }

    #[test]
    fn strangers_do_not_take_a_place() {
        let meeting = meeting(free_port(), 20.0);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| attend(&meeting, 0, 2, "a"));
            std::thread::sleep(Duration::from_millis(200));
            for text in ["GET / HTTP/1.1\r\n", "\u{1b}[31m\n", &"x".repeat(4 * LINE)] {
                let mut stranger = TcpStream::connect(("127.0.0.1", meeting.port)).unwrap();
                stranger.write_all(text.as_bytes()).unwrap();
            }
            let second = attend(&meeting, 1, 2, "a").unwrap();
            assert_eq!(second.name, first.join().unwrap().unwrap().name);
        });
    }
}
