//! Waiting for an instant inside a runtime, to some ten microseconds.
//!
//! The runtime's own timer counts milliseconds; on Linux a `timerfd` takes its place.

use std::time::{Duration, Instant};

/// One sender thread's timer.
pub(crate) struct Pacer {
    #[cfg(target_os = "linux")]
    timer: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
    rushed: u32,
}

/// Requests that are sent without a look at the sockets when the schedule is behind.
const RUSH: u32 = 4;

impl Pacer {
    /// Inside the runtime that will wait.
    pub(crate) fn new() -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
            // Without this the kernel may add 50 µs to gather wake-ups.
            let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            // SAFETY: `timer` owns its descriptor, which therefore stays open and the same until the
            // `AsyncFd` that now owns it is dropped.
            #[allow(unsafe_code)]
            let timer = unsafe { tokio::io::unix::AsyncFd::register(timer) }?;
            Ok(Self { timer, rushed: 0 })
        }
        #[cfg(not(target_os = "linux"))]
        Ok(Self { rushed: 0 })
    }

    /// Returns at `deadline`, or at once when that is past; now and then gives way to the sockets.
    pub(crate) async fn until(&mut self, deadline: Instant) -> std::io::Result<()> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.rushed += 1;
                if self.rushed >= RUSH {
                    self.rushed = 0;
                    tokio::task::yield_now().await;
                }
                return Ok(());
            }
            self.rushed = 0;
            self.sleep(left).await?;
        }
    }

    #[cfg(target_os = "linux")]
    async fn sleep(&mut self, time: Duration) -> std::io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let value = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        let mut ready = self.timer.readable().await?;
        let mut count = [0; 8];
        match rustix::io::read(self.timer.get_ref(), &mut count) {
            Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
            other => {
                other?;
                ready.clear_ready();
            }
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    async fn sleep(&mut self, time: Duration) -> std::io::Result<()> {
        tokio::time::sleep(time).await;
        Ok(())
    }
}
