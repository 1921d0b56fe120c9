//! Archives: entries as slices of the mapped file, or unpacked up to a limit.

use super::{LoadError, LoadErrorKind};
use bytes::Bytes;
use rawzip::{CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder};
use std::io::Read;

/// Archives with more entries are refused.
const MAX_ENTRIES: usize = 1_000_000;
/// Names of entries take no more bytes than this in all.
const MAX_NAMES: usize = 64 << 20;

/// One file inside an archive.
pub(super) struct Entry {
    /// Its path in the archive.
    pub(super) name: String,
    packed: Option<CompressionMethod>,
    size: u64,
    way: ZipArchiveEntryWayfinder,
}

/// An archive whose directory has been read.
pub(super) struct Archive {
    file: Bytes,
    /// What errors call it.
    format: &'static str,
    /// In the order of the directory.
    pub(super) entries: Vec<Entry>,
}

/// Whether bytes begin as an archive does.
pub(super) fn begins(file: &[u8]) -> bool {
    file.starts_with(b"PK\x03\x04") || file.starts_with(b"PK\x05\x06")
}

fn broken(format: &'static str, message: impl std::fmt::Display) -> LoadError {
    let why = format!("the archive cannot be read: {message}");
    LoadErrorKind::Malformed { format, why }.into()
}

impl Archive {
    /// Reads the directory of an archive, which errors call a model of this format.
    pub(super) fn open(file: &Bytes, format: &'static str) -> Result<Self, LoadError> {
        let broken = |message: rawzip::Error| broken(format, message);
        let archive = ZipArchive::from_slice(&file[..]).map_err(broken)?;
        let mut entries = Vec::new();
        let mut names = 0_usize;
        for record in archive.entries() {
            let record = record.map_err(broken)?;
            if record.is_dir() {
                continue;
            }
            let name = String::from_utf8_lossy(record.file_path().as_ref()).into_owned();
            names = names.saturating_add(name.len());
            if entries.len() >= MAX_ENTRIES || names > MAX_NAMES {
                let why = format!("it has more than {MAX_ENTRIES} entries");
                return Err(self::broken(format, why));
            }
            let method = record.compression_method();
            entries.push(Entry {
                name,
                packed: (method != CompressionMethod::STORE).then_some(method),
                size: record.uncompressed_size_hint(),
                way: record.wayfinder(),
            });
        }
        Ok(Self { file: file.clone(), format, entries })
    }

    /// The entry with this path.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The contents of an entry: a slice of the file, or up to `most` bytes that are unpacked.
    pub(super) fn contents(&self, entry: &Entry, most: usize) -> Result<Bytes, LoadError> {
        let broken = |message: String| broken(self.format, message);
        let unread = |error: rawzip::Error| broken(error.to_string());
        let archive = ZipArchive::from_slice(&self.file[..]).map_err(unread)?;
        let found = archive.get_entry(entry.way).map_err(unread)?;
        let (data, name) = (found.data(), &entry.name);
        match entry.packed {
            None => Ok(self.file.slice_ref(data)),
            Some(CompressionMethod::DEFLATE) => {
                let too_large = || broken(format!("`{name}` unpacks to more than {most} bytes"));
                if usize::try_from(entry.size).map_or(true, |size| size > most) {
                    return Err(too_large());
                }
                let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
                let mut unpacked = Vec::new();
                let mut reader = flate2::bufread::DeflateDecoder::new(data).take(limit);
                reader.read_to_end(&mut unpacked).map_err(|e| broken(format!("`{name}`: {e}")))?;
                if unpacked.len() > most {
                    return Err(too_large());
                }
                Ok(unpacked.into())
            }
            Some(_) => Err(broken(format!("`{name}` is packed by a method that is not read"))),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Write;

    /// The bytes that a text in base 64 stands for.
    pub(in super::super) fn base64(text: &str) -> Vec<u8> {
        let value = |c: u8| match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let mut out = Vec::new();
        let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').collect();
        for four in digits.chunks(4) {
            let all = four.iter().fold(0_u32, |n, c| n << 6 | u32::from(value(*c)));
            let all = all << (6 * (4 - four.len()));
            out.extend_from_slice(&all.to_be_bytes()[1..four.len()]);
        }
        out
    }

    /// The cases of a packed fixture.
    pub(in super::super) fn cases(packed: &[u8]) -> Vec<serde_json::Value> {
        serde_json::from_reader(flate2::read::GzDecoder::new(packed)).unwrap()
    }

    /// The bytes of a text whose characters stand for one each.
    pub(in super::super) fn latin(text: &str) -> Vec<u8> {
        text.chars().map(|c| u8::try_from(c).unwrap()).collect()
    }

    /// An archive with these files, stored or packed.
    pub(in super::super) fn archive(files: &[(&str, &[u8])], packed: bool) -> Bytes {
        let mut output = Vec::new();
        let mut archive = rawzip::ZipArchiveWriter::new(&mut output);
        for (name, contents) in files {
            let method = if packed { CompressionMethod::DEFLATE } else { CompressionMethod::STORE };
            let file = archive.new_file(name).compression_method(method);
            let (mut entry, config) = file.start().unwrap();
            if packed {
                let level = flate2::Compression::default();
                let encoder = flate2::write::DeflateEncoder::new(&mut entry, level);
                let mut writer = config.wrap(encoder);
                writer.write_all(contents).unwrap();
                let (encoder, descriptor) = writer.finish().unwrap();
                encoder.finish().unwrap();
                entry.finish(descriptor).unwrap();
            } else {
                let mut writer = config.wrap(&mut entry);
                writer.write_all(contents).unwrap();
                let (_, descriptor) = writer.finish().unwrap();
                entry.finish(descriptor).unwrap();
            }
        }
        archive.finish().unwrap();
        output.into()
    }

    #[test]
    fn stored_entries_are_slices_and_packed_ones_are_unpacked_up_to_a_limit() {
        let long = vec![7_u8; 100_000];
        let files: [(&str, &[u8]); 2] = [("a/b.json", b"{}"), ("long", &long)];
        for packed in [false, true] {
            let file = archive(&files, packed);
            let read = Archive::open(&file, "Keras").unwrap();
            let names: Vec<&str> = read.entries.iter().map(|e| e.name.as_str()).collect();
            assert_eq!(names, ["a/b.json", "long"]);
            let entry = read.find("long").unwrap();
            let contents = read.contents(entry, 100_000).unwrap();
            assert_eq!(contents, long);
            let inside = file.as_ptr_range().contains(&contents.as_ptr());
            assert_eq!(inside, !packed, "stored contents are not copied");
            if packed {
                let error = read.contents(entry, 99_999).unwrap_err().to_string();
                assert!(error.contains("more than 99999 bytes"), "{error}");
            }
        }
    }

    #[test]
    fn broken_archives_are_refused_without_panic() {
        let file = archive(&[("config.json", b"{\"a\": 1}"), ("x", &[1; 300])], true);
        for length in 0..file.len() {
            let cut = file.slice(..length);
            if let Ok(read) = Archive::open(&cut, "Keras") {
                for entry in &read.entries {
                    let _ = read.contents(entry, 1 << 20);
                }
            }
        }
        for at in 0..file.len() {
            for flip in [1_u8, 0x80, 0xff] {
                let mut bytes = file.to_vec();
                bytes[at] ^= flip;
                if let Ok(read) = Archive::open(&bytes.into(), "Keras") {
                    for entry in &read.entries {
                        let _ = read.contents(entry, 1 << 20);
                    }
                }
            }
        }
    }
}
