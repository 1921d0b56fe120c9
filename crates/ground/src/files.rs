//! Whole files of others, read only up to a limit.

use std::fs::File;
use std::io::{Error, Read, Result};
use std::path::Path;

/// The bytes of the file at `path`, of which there may be at most `most`. A larger regular file is refused before
/// anything is read of it; a pipe, once more than `most` bytes have come.
pub fn bytes(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    if file.metadata()?.len() <= most {
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|read| read <= most) {
            return Ok(bytes);
        }
    }
    Err(Error::other(format!("it is larger than {}", size(most))))
}

/// The same as text in UTF-8.
pub fn text(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(bytes(path, most)?).map_err(|_| Error::other("it is not text in UTF-8"))
}

/// A limit with its unit.
fn size(bytes: u64) -> String {
    match bytes {
        0x4000_0000.. => format!("{} GiB", bytes >> 30),
        0x10_0000.. => format!("{} MiB", bytes >> 20),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_up_to_the_limit_are_read_and_no_larger_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(bytes(&path, 5).unwrap(), b"12345");
        assert_eq!(text(&path, 6).unwrap(), "12345");
        assert_eq!(bytes(&path, 4).unwrap_err().to_string(), "it is larger than 4 bytes");
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(text(&path, 6).unwrap_err().to_string(), "it is not text in UTF-8");
        assert!(bytes(&folder.path().join("none"), 6).is_err());
    }

    /// A device without end says that it has no bytes.
    #[cfg(unix)]
    #[test]
    fn what_does_not_end_is_refused() {
        let endless = Path::new("/dev/zero");
        assert_eq!(bytes(endless, 1 << 20).unwrap_err().to_string(), "it is larger than 1 MiB");
    }
}
