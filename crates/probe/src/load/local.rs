//! Inferences in this process, behind the same interface as a server: a queue and instances.

use super::Target;
use super::record::Fault;
use super::stream::Failure;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

type Done = Result<(Instant, Instant), String>;

/// Requests for a runtime that serves so many at a time; shared by all senders.
#[derive(Clone)]
pub(crate) struct Queue {
    jobs: Sender<oneshot::Sender<Done>>,
}

impl Queue {
    /// Starts the instances; they end with the queue.
    pub(crate) fn new(runtime: &Arc<dyn Target + Send + Sync>, instances: usize) -> Self {
        let (jobs, inbox) = channel::<oneshot::Sender<Done>>();
        let inbox = Arc::new(Mutex::new(inbox));
        for _ in 0..instances {
            let (runtime, inbox) = (runtime.clone(), inbox.clone());
            std::thread::spawn(move || serve(&*runtime, &inbox));
        }
        Self { jobs }
    }

    /// When the inference began and ended.
    pub(crate) async fn call(&self) -> Result<(Instant, Instant), Failure> {
        let (reply, answer) = oneshot::channel();
        let gone = || (Fault::Runtime, "the runtime's thread ended".to_owned());
        self.jobs.send(reply).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map_err(|text| (Fault::Runtime, text))
    }
}

fn serve(runtime: &dyn Target, inbox: &Mutex<Receiver<oneshot::Sender<Done>>>) {
    loop {
        let next = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(reply) = next else { return };
        // Given up while it waited: not worth the time of those behind it.
        if reply.is_closed() {
            continue;
        }
        let start = Instant::now();
        let outcome = runtime.infer().map(|()| (start, Instant::now()));
        let _ = reply.send(outcome.map_err(|e| e.to_string()));
    }
}
