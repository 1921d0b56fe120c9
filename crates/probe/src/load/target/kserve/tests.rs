//! What Triton adds, against a server that keeps sequences, streams answers and maps shared memory.

use super::super::messages::{
    InferTensor, ModelConfig, ModelConfigResponse, ModelInferRequest, ModelInferResponse,
    ModelMetadataResponse, ModelStreamInferResponse, RegionName, RegisterRegion, RequestParameters,
    TransactionPolicy,
};
use super::super::requests::DataSet;
use super::super::tensor::Given;
use super::super::{Options, Prepared, Url};
use crate::arrival::{Arrival, Load};
use crate::data::Order;
use crate::drive::{Live, Plan, drive};
use crate::record::Record;
use bytes::{BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use prost::Message;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server has seen.
#[derive(Default)]
struct Seen {
    /// Sums of the sequences that are open, and requests of those that have ended.
    open: HashMap<i64, (f32, usize)>,
    ended: Vec<usize>,
    /// Regions that it has mapped.
    regions: HashMap<String, memmap2::Mmap>,
    given_back: usize,
    /// First elements of all requests, in order.
    inputs: Vec<f32>,
    /// What is wrong with requests.
    wrong: Vec<String>,
}

struct Server {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Server {
    /// Models `sum` (keeps a sum for each sequence), `many` (so many responses as its input says) and `double`;
    /// `sharing` servers map memory.
    fn start(sharing: bool) -> Self {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let own = seen.clone();
        std::thread::spawn(move || {
            crate::connector::Exchange::new().unwrap().block(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let seen = own.clone();
                    tokio::task::spawn_local(async move {
                        let Ok(mut connection) = h2::server::handshake(stream).await else {
                            return;
                        };
                        while let Some(Ok((request, respond))) = connection.accept().await {
                            tokio::task::spawn_local(answer(
                                request,
                                respond,
                                seen.clone(),
                                sharing,
                            ));
                        }
                    });
                }
            });
        });
        Self { port, seen }
    }

    fn prepared(&self, model: &str, options: &Options) -> Result<Prepared, super::TargetError> {
        let url = Url::parse(&format!("kserve+grpc://127.0.0.1:{}/{model}", self.port)).unwrap();
        Prepared::remote(&url, options)
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    seen: Arc<Mutex<Seen>>,
    sharing: bool,
) {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    let mut bytes = BytesMut::new();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        bytes.put(data);
    }
    let messages = replies(&path, &bytes.freeze().slice(5..), &mut seen.lock().unwrap(), sharing);
    let mut head = Response::new(());
    head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let Ok(mut stream) = respond.send_response(head, false) else { return };
    let status = if messages.is_none() { "12" } else { "0" };
    for message in messages.into_iter().flatten() {
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).unwrap());
        framed.put(&message[..]);
        let _ = stream.send_data(framed.freeze(), false);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let _ = stream.send_trailers(trailers);
}

/// The messages of an answer; `None` of a method that is not there.
fn replies(path: &str, body: &Bytes, seen: &mut Seen, sharing: bool) -> Option<Vec<Vec<u8>>> {
    let one = |message: Vec<u8>| Some(vec![message]);
    match path.rsplit('/').next()? {
        "ModelMetadata" => {
            let tensor = |name: &str| InferTensor {
                name: name.into(),
                datatype: "FP32".into(),
                shape: vec![-1, 2],
                ..InferTensor::default()
            };
            let (inputs, outputs) = (vec![tensor("x")], vec![tensor("y")]);
            one(ModelMetadataResponse { platform: "test".into(), inputs, outputs }.encode_to_vec())
        }
        "ModelConfig" => {
            let name = RegionName::decode(body.clone()).unwrap().name;
            let policy = (name == "many").then_some(TransactionPolicy { decoupled: true });
            let config = Some(ModelConfig { model_transaction_policy: policy });
            one(ModelConfigResponse { config }.encode_to_vec())
        }
        "ModelInfer" | "ModelStreamInfer" => Some(infer(path, body, seen)),
        "SystemSharedMemoryRegister" if sharing => {
            let ask = RegisterRegion::decode(body.clone()).unwrap();
            let file = std::fs::File::open(format!("/dev/shm{}", ask.key)).unwrap();
            #[allow(unsafe_code)]
            // SAFETY: the client writes nothing once it has asked for this.
            let map = unsafe { memmap2::Mmap::map(&file) }.unwrap();
            assert_eq!(map.len() as u64, ask.byte_size);
            seen.regions.insert(ask.name, map);
            one(Vec::new())
        }
        "SystemSharedMemoryUnregister" if sharing => {
            let name = RegionName::decode(body.clone()).unwrap().name;
            seen.given_back += usize::from(seen.regions.remove(&name).is_some());
            one(Vec::new())
        }
        _ => None,
    }
}

fn infer(path: &str, body: &Bytes, seen: &mut Seen) -> Vec<Vec<u8>> {
    let request = ModelInferRequest::decode(body.clone()).unwrap();
    let parameters = RequestParameters::decode(body.clone()).unwrap().parameters;
    let input = &request.inputs[0];
    let raw: Vec<u8> = match request.raw_input_contents.first() {
        Some(raw) => raw.to_vec(),
        None => {
            let of = |name: &str| input.parameters[name].clone();
            let (offset, size) = (of("shared_memory_offset"), of("shared_memory_byte_size"));
            let number = |p| usize::try_from(i64::try_from(&p).unwrap()).unwrap();
            let (offset, size) = (number(offset), number(size));
            let region = String::try_from(&of("shared_memory_region")).unwrap();
            seen.regions[&region][offset..offset + size].to_vec()
        }
    };
    let values: Vec<f32> =
        raw.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    seen.inputs.push(values[0]);
    let response = |values: Vec<f32>| ModelInferResponse {
        outputs: vec![InferTensor {
            name: "y".into(),
            datatype: "FP32".into(),
            shape: vec![i64::try_from(values.len() / 2).unwrap(), 2],
            ..InferTensor::default()
        }],
        raw_output_contents: vec![
            values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into(),
        ],
    };
    if path.ends_with("ModelStreamInfer") {
        // More than one row, as detectors give, and an empty one at the end.
        let count = values[0].abs().mul_add(10.0, 0.0).round();
        let all = (0..20u16).take_while(|i| f32::from(*i) < count);
        let all = all
            .map(|_| Some(response(values.repeat(3))))
            .chain([Some(ModelInferResponse::default())]);
        let stream = |infer_response| {
            ModelStreamInferResponse { infer_response, ..Default::default() }.encode_to_vec()
        };
        if values[0] > 0.95 {
            let message = "the model has failed".to_owned();
            return vec![
                ModelStreamInferResponse { error_message: message, infer_response: None }
                    .encode_to_vec(),
            ];
        }
        return all.map(stream).collect();
    }
    if request.model_name == "sum" {
        return vec![response(state(&parameters, &values, seen)).encode_to_vec()];
    }
    vec![response(values.iter().map(|v| 2.0 * v).collect()).encode_to_vec()]
}

/// The sum of a sequence so far.
fn state(
    parameters: &BTreeMap<String, super::super::messages::InferParameter>,
    values: &[f32],
    seen: &mut Seen,
) -> Vec<f32> {
    let flag = |name: &str| bool::try_from(&parameters[name]).unwrap();
    let id = i64::try_from(&parameters["sequence_id"]).unwrap();
    let (starts, ends) = (flag("sequence_start"), flag("sequence_end"));
    if id == 0 || starts == seen.open.contains_key(&id) {
        seen.wrong.push(format!("{id} starts: {starts}"));
    }
    let own = seen.open.entry(id).or_default();
    *own = (own.0 + values[0], own.1 + 1);
    let (sum, count) = *own;
    if ends {
        seen.open.remove(&id);
        seen.ended.push(count);
    }
    vec![sum, f32::from(u16::try_from(count).unwrap())]
}

fn run(prepared: &Prepared, load: Load, requests: Option<u64>) -> Record {
    let plan = Plan {
        load,
        requests,
        senders: 2,
        max_in_flight: 64,
        timeout: Duration::from_secs(20),
        ..Plan::closed(1, Duration::from_secs(if requests.is_some() { 60 } else { 1 }))
    };
    drive(&plan, prepared, &AtomicBool::new(false), &Live::default()).unwrap().record
}

fn good(record: &Record) -> u64 {
    assert!(record.faults.is_empty(), "{:?}", record.faults);
    record.sum(0..record.intervals.len()).good
}

#[test]
fn sequences_start_and_end_and_keep_their_order() {
    let server = Server::start(true);
    let options = Options { sequence: Some(4), ..Options::default() };
    let prepared = server.prepared("sum", &options).unwrap();
    assert_eq!(good(&run(&prepared, Load::Closed(5), Some(103))), 103);
    let seen = server.seen.lock().unwrap();
    assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
    assert!(seen.ended.iter().all(|count| *count == 4), "{:?}", seen.ended);
    // Of 103 requests in 5 slots, those of the last sequences are cut.
    assert!(seen.ended.len() >= 20 && seen.open.len() <= 5, "{:?}", seen.open);
    let refused = |text: &str| {
        let url = Url::parse(&format!("{text}://127.0.0.1:{}/m", server.port)).unwrap();
        Prepared::remote(&url, &options).err().unwrap().message
    };
    assert!(refused("tfs+grpc").contains("--sequence"), "{}", refused("tfs+grpc"));
}

#[test]
fn records_of_a_sequence_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    let lines: Vec<String> = (0..12).map(|i| format!("{{\"x\":[[{i},0.5]]}}")).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let records = crate::data::open(&path).unwrap();
    let data = Some(DataSet { records, order: Order::Sequential, input: None });
    let server = Server::start(true);
    let options = Options { sequence: Some(3), data, ..Options::default() };
    let prepared = server.prepared("sum", &options).unwrap();
    good(&run(&prepared, Load::Closed(1), Some(12)));
    let seen = server.seen.lock().unwrap();
    let wanted: Vec<f32> = (0..12u8).map(f32::from).collect();
    assert_eq!((seen.inputs.clone(), seen.ended.len()), (wanted, 4));
}

#[test]
fn a_model_that_answers_with_several_responses_is_measured_to_the_last() {
    let server = Server::start(true);
    let input = |value: f32| {
        let bytes = [value, 0.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let given = Given::Contents(super::Dtype::find("FP32").unwrap(), vec![1, 2], bytes);
        Options { inputs: vec![("x".into(), given)], ..Options::default() }
    };
    let prepared = server.prepared("many", &input(0.5)).unwrap();
    let record = run(&prepared, Load::Closed(2), Some(40));
    assert_eq!((good(&record), record.responses), (40, 240));
    // Six messages a millisecond apart.
    let service = &record.sum(0..record.intervals.len()).durations[crate::metric::Metric::Service];
    assert!(service.mean() > 5e6, "{}", service.mean());
    let prepared = server.prepared("many", &input(1.0)).unwrap();
    let (fault, text) = prepared.try_once().unwrap_err();
    assert!(text.contains("has failed"), "{fault}: {text}");
}

#[test]
#[cfg(target_os = "linux")]
fn inputs_in_shared_memory_are_those_that_the_server_maps() {
    let server = Server::start(true);
    let options = Options { shared_memory: true, variants: 3, ..Options::default() };
    let prepared = server.prepared("double", &options).unwrap();
    assert_eq!(server.seen.lock().unwrap().regions.len(), 1);
    let mine = format!("rooflens-{}-", std::process::id());
    let left = std::fs::read_dir("/dev/shm").unwrap();
    let left =
        left.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with(&mine));
    assert_eq!(left.count(), 0, "the name is given up as soon as the server has mapped it");
    let steady = Load::Open(Arrival::Steady(50.0));
    assert_eq!(good(&run(&prepared, steady.clone(), None)), 50);
    let plain = server.prepared("double", &Options { variants: 3, ..Options::default() }).unwrap();
    good(&run(&plain, steady, None));
    {
        // The same inputs as without it.
        let seen = server.seen.lock().unwrap();
        let (shared, sent) = seen.inputs.split_at(50);
        let sorted = |list: &[f32]| {
            let mut all: Vec<u32> = list.iter().map(|v| v.to_bits()).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(sorted(shared), sorted(sent));
    }
    let bytes = |p: &Prepared| p.requests.first().len();
    assert!(bytes(&prepared) != bytes(&plain));
    drop(prepared);
    assert_eq!(server.seen.lock().unwrap().given_back, 1);
    // A server that has none says so, and nothing is left.
    let other = Server::start(false);
    let error = other.prepared("double", &options).err().unwrap();
    assert!(error.message.contains("no system shared memory"), "{}", error.message);
}
