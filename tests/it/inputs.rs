//! Data sets as inputs: what reaches the server is what stands in them, in their order, and faults are one error.

use crate::probe::{probe, read};
use crate::run::rooflens;
use crate::server::{Manner, Server};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

type Bodies = Arc<Mutex<Vec<(String, String)>>>;

/// A server that keeps the type and the body of every request.
fn recording() -> (String, Bodies) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let bodies = Bodies::default();
    let kept = bodies.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, kept) = (stream.unwrap(), kept.clone());
            std::thread::spawn(move || record(stream, &kept));
        }
    });
    (url, bodies)
}

fn record(mut stream: TcpStream, kept: &Bodies) {
    let (mut buffer, mut chunk) = (Vec::new(), vec![0; 65536]);
    loop {
        let head = buffer.windows(4).position(|w| w == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
            let of = |name: &str| {
                text.lines()
                    .find_map(|l| l.strip_prefix(name))
                    .unwrap_or_default()
                    .trim()
                    .to_owned()
            };
            let whole = head + 4 + of("Content-Length:").parse().unwrap_or(0);
            if buffer.len() >= whole {
                let body = String::from_utf8_lossy(&buffer[head + 4..whole]).into_owned();
                kept.lock().unwrap().push((of("Content-Type:"), body));
                buffer.drain(..whole);
                if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                    return;
                }
                continue;
            }
        }
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 => buffer.extend_from_slice(&chunk[..n]),
            _ => return,
        }
    }
}

fn counts(bodies: &Bodies) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    // The first is sent before the load.
    for (_, body) in &bodies.lock().unwrap()[1..] {
        *counts.entry(body.clone()).or_default() += 1;
    }
    counts
}

#[test]
fn every_file_of_a_folder_is_a_body_in_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("a.png", "one"), ("b.json", "{}"), ("c.txt", "three")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let data = folder.path().to_str().unwrap();
    let load = ["--load", "closed:3", "--requests", "30", "--warm-up", "0", "--no-meters"];
    let (url, bodies) = recording();
    let (run, m) = probe(&url, &[&load[..], &["--data", data]].concat());
    let each = ["one", "three", "{}"].map(|body| (body.to_owned(), 10));
    assert_eq!(counts(&bodies), BTreeMap::from(each));
    let types: BTreeMap<_, _> =
        bodies.lock().unwrap().iter().map(|(kind, body)| (body.clone(), kind.clone())).collect();
    assert_eq!((types["one"].as_str(), types["{}"].as_str()), ("image/png", "application/json"));
    assert_eq!(
        (&m["run"]["inputs"]["sent"], &m["run"]["inputs"]["distinct"]),
        (&30.into(), &3.into())
    );
    assert!(run.stdout.contains("3 different among 30 (10.00 %)"), "{}", run.stdout);
    // At random the counts differ, and the same seed gives the same ones.
    let random = |seed: &str| {
        let (url, bodies) = recording();
        let draw = ["--data", data, "--draw", "random", "--seed", seed];
        probe(&url, &[&load[..], &draw].concat());
        counts(&bodies)
    };
    assert_eq!(random("5"), random("5"));
    assert!((5..9).any(|seed| random(&seed.to_string()).values().any(|n| *n != 10)));
}

#[test]
fn records_of_a_large_file_come_in_their_order_and_merge() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.jsonl");
    let lines: Vec<String> = (0..70_000).map(|i| format!("{{\"i\":{i}}}")).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let data = path.to_str().unwrap();
    let load = ["--load", "steady:200", "--seconds", "2", "--warm-up", "0", "--no-meters"];
    let part = |stripe: &str| {
        let (url, bodies) = recording();
        let out = folder.path().join(stripe.replace('/', "-"));
        let extra = ["-o", out.to_str().unwrap(), "--data", data, "--stripe", stripe];
        let run = rooflens(&[&["probe", &url], &load[..], &extra].concat());
        assert!(run.code < 2, "{}{}", run.stdout, run.stderr);
        let numbers: Vec<usize> = counts(&bodies)
            .into_keys()
            .map(|body| body[5..body.len() - 1].parse().unwrap())
            .collect();
        (out, numbers)
    };
    let parts = ["0/2", "1/2"].map(part);
    let mut numbers: Vec<usize> = parts.iter().flat_map(|(_, numbers)| numbers.clone()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..400).collect::<Vec<_>>());
    assert!(parts[1].1.iter().all(|n| n % 2 == 1));
    let whole = folder.path().join("whole");
    let folders = parts.each_ref().map(|(out, _)| out.to_str().unwrap());
    let merge = ["merge", folders[0], folders[1], "-o", whole.to_str().unwrap()];
    assert!(rooflens(&merge).code < 2);
    let inputs = &read(&whole)["run"]["inputs"];
    assert_eq!((&inputs["sent"], &inputs["distinct"]), (&400.into(), &400.into()));
}

#[test]
fn records_are_the_inputs_of_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    std::fs::write(&path, "{\"x\":[1,2,3,4]}\n{\"x\":[[5,6,7,8]]}\n{\"x\":[0,0,0,1]}\n").unwrap();
    let server =
        Server::start(Manner::Batched(std::time::Duration::ZERO, std::time::Duration::ZERO));
    let url = server.url().replace("http://", "kserve+http://") + "m";
    let load = ["--load", "closed:1", "--requests", "9", "--warm-up", "0", "--no-meters"];
    let data = ["--data", path.to_str().unwrap()];
    let (_, m) = probe(&url, &[&load[..], &data, &["--batch", "2"]].concat());
    assert_eq!((m["target"]["batch"].as_i64(), m["window"]["lost"].as_u64()), (Some(2), Some(0)));
    let inputs = &m["run"]["inputs"];
    assert_eq!((&inputs["sent"], &inputs["distinct"]), (&18.into(), &3.into()));
    for (text, says) in [
        ("{\"x\":[1,2,3,4]}\n{\"x\":[1,2,NaN,4]}\n", "line 2"),
        ("{\"x\":[1,2,3,4]}\n{\"x\":[1,2,3]}\n", "line 2 of the data set has the shape 3"),
        (
            "{\"x\":[1,2,3,4]}\n{\"x\":[1,\"2\",3,4]}\n",
            "has `\"2\"` in input `x`, which takes FP32",
        ),
        ("{\"y\":[1,2,3,4]}\n", "the model has no input `y`"),
        ("{\"x\":[1,2,3,4]}\n{\"x\":[1,2,3,4],\"z\":1}\n", "has `z`, which the first has not"),
        ("[1,2,3,4]\n", "is no object"),
    ] {
        std::fs::write(&path, text).unwrap();
        let run = rooflens(&[&["probe", &url], &data[..]].concat());
        assert!(run.code == 2 && run.stderr.contains(says), "{says}: {}", run.stderr);
    }
}

#[test]
fn arrays_of_a_folder_are_the_input_of_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let npy = |descr: &str, data: &[u8]| {
        let head = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1, 4), }}\n");
        let length = u16::try_from(head.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], head.as_bytes(), data].concat()
    };
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    put("a.npy", &npy("<f4", &[0; 16]));
    put("b.npy", &npy("<f4", &[1; 16]));
    let server = Server::start(Manner::Kserve(3));
    let url = server.url().replace("http://", "kserve+http://") + "m";
    let load = ["--load", "closed:1", "--requests", "10", "--warm-up", "0", "--no-meters"];
    let data = ["--data", folder.path().to_str().unwrap()];
    let (_, m) = probe(&url, &[&load[..], &data].concat());
    assert_eq!(
        (m["window"]["good"].as_u64(), &m["run"]["inputs"]["distinct"]),
        (Some(10), &2.into())
    );
    let refused = |says: &str| {
        let run = rooflens(&[&["probe", &url], &data[..]].concat());
        assert!(run.code == 2 && run.stderr.contains(says), "{says}: {}", run.stderr);
    };
    put("c.npy", &npy("<f8", &[0; 32]));
    refused("c.npy of the data set has FP64, and input `x` takes FP32");
    // In JSON there is no NaN: it would have been sent as null.
    put("c.npy", &npy("<f4", &f32::NAN.to_le_bytes().repeat(4)));
    refused("has no JSON form");
    put("c.npy", b"no array");
    refused("is not a .npy file");
    #[cfg(unix)]
    {
        std::fs::remove_file(folder.path().join("c.npy")).unwrap();
        std::os::unix::fs::symlink(Path::new("/etc/hostname"), folder.path().join("c.npy"))
            .unwrap();
        refused("is a link out of the data set");
    }
}
