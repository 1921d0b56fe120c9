//! Data sets as users have them, and as nobody should.

use super::*;
use std::fs::{create_dir, write};

fn texts(records: &dyn Records, order: impl IntoIterator<Item = u64>) -> Vec<String> {
    let text = |at| {
        let record = records.record(at).unwrap();
        format!("{}: {}", record.name, String::from_utf8_lossy(&record.bytes))
    };
    order.into_iter().map(text).collect()
}

#[test]
fn lines_are_found_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    let mut text = String::from("\u{feff}\n");
    for i in 0..100 {
        text +=
            &["{\"i\":", &i.to_string(), "}", if i % 7 == 0 { "\r\n\n" } else { "\n" }].concat();
    }
    write(&path, text.trim_end()).unwrap();
    let lines = open(&path).unwrap();
    assert_eq!(lines.count(), 100);
    let numbers: Vec<u64> = (0..100).chain((0..100).rev()).chain([50, 49, 51, 99, 0]).collect();
    for at in numbers {
        let record = lines.record(at).unwrap();
        assert_eq!(record.bytes, format!("{{\"i\":{at}}}"), "{}", record.name);
        // One blank line at the top, and one behind each seventh.
        assert_eq!(record.name, format!("line {}", at + 2 + at.div_ceil(7)));
    }
}

#[test]
fn folders_are_read_in_the_order_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    create_dir(root.join("b")).unwrap();
    for (name, text) in
        [("b/2.JPG", "two"), ("b/1.npy", "one"), ("a.txt", "a"), (".DS_Store", "no")]
    {
        write(root.join(name), text).unwrap();
    }
    let set = open(root).unwrap();
    assert_eq!(texts(&*set, 0..3), ["a.txt: a", "b/1.npy: one", "b/2.JPG: two"]);
    assert_eq!((set.count(), set.size()), (3, 7));
    let kind = |at| set.record(at).unwrap().kind;
    assert_eq!(
        [kind(0), kind(1), kind(2)],
        [Kind::Other("text/plain"), Kind::Npy, Kind::Other("image/jpeg")]
    );
}

#[test]
fn what_is_no_data_set_is_one_error_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    let long = format!("1\n\"{}\"", "x".repeat(usize::try_from(LONGEST).unwrap()));
    for (bytes, says) in [
        (&b"{\"x\":1}\n{\"x\":NaN}\n"[..], "line 2"),
        (b"1\n\n{\"x\"", "line 3"),
        (b"1\n\"\xff\"", "line 2"),
        (b"\n \r\n", "no lines"),
        (b"", "no lines"),
        (b"[1] [2]", "line 1"),
        (long.as_bytes(), "more than 64 MiB"),
    ] {
        write(&path, bytes).unwrap();
        let error = open(&path).unwrap_err();
        assert!(error.message.contains(says), "{says}: {}", error.message);
    }
    let text = folder.path().join("x.csv");
    write(&text, "1").unwrap();
    for other in [&text, &folder.path().join("gone.jsonl")] {
        assert!(open(other).is_err());
    }
    let empty = folder.path().join("empty");
    create_dir(&empty).unwrap();
    assert!(open(&empty).unwrap_err().message.contains("no files"));
}

#[test]
#[cfg(unix)]
fn nothing_outside_of_a_folder_is_read() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path().join("secret"), "x").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    create_dir(&set).unwrap();
    write(set.join("a"), "a").unwrap();
    let link = set.join("b");
    let as_link = |to: &Path| {
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(to, &link).unwrap();
        open(&set)
    };
    assert_eq!(as_link(Path::new("a")).unwrap().count(), 2);
    for (to, says) in [
        (outside.path().join("secret"), "out of the data set"),
        ("/dev/zero".into(), "out of the data set"),
        (".".into(), "to a folder"),
        ("gone".into(), "cannot be read"),
    ] {
        let error = as_link(&to).unwrap_err();
        assert!(error.message.contains(says), "{says}: {}", error.message);
    }
    std::fs::remove_file(&link).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&link).unwrap();
    assert!(open(&set).unwrap_err().message.contains("neither a file"));
    drop(listener);
}

#[test]
fn draws_are_repeatable_and_counted() {
    let (order, random) = (Order::Sequential, Order::Random(7));
    assert_eq!((0..5).map(|turn| order.place(turn, 3)).collect::<Vec<_>>(), [0, 1, 2, 0, 1]);
    assert_eq!((order.distinct(0..2, 3), order.distinct(0..9, 3)), (2, 3));
    let drawn: Vec<u64> = (0..10_000).map(|turn| random.place(turn, 1000)).collect();
    assert!(drawn.iter().all(|at| *at < 1000));
    let different: std::collections::BTreeSet<_> = drawn[..1000].iter().collect();
    assert_eq!(different.len() as u64, random.distinct(0..1000, 1000));
    // Of 1,000 drawn from 1,000, about 632 differ.
    assert!((600..665).contains(&different.len()), "{}", different.len());
    assert_eq!(random.distinct(0..u64::MAX, 10), 10);
    let far = (different.len() as u64).abs_diff(random.expected(1000, 1000));
    assert!(far < 40 && random.expected(u64::MAX, 10) == 10 && random.expected(5, 1 << 60) == 5);
    assert_ne!(
        drawn,
        (0..10_000).map(|turn| Order::Random(8).place(turn, 1000)).collect::<Vec<_>>()
    );
}
