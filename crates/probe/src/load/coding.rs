//! Content codings of answers: gzip, deflate and Brotli are undone where an answer is looked into, behind the clock.

use super::record::Fault;
use super::stream::Failure;
use brotli_decompressor::Decompressor;
use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use std::io::Read;

/// How the bytes of an answer are packed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    #[default]
    Identity,
    /// As gzip does.
    Gzip,
    /// As zlib does.
    Deflate,
    /// As Brotli does (RFC 7932).
    Brotli,
    /// Some other way, by its name.
    Other(String),
}

impl Coding {
    /// Of a `Content-Encoding` or `grpc-encoding`.
    pub fn named(name: &str) -> Self {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Self::Identity,
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            other => Self::Other(other.chars().take(40).collect()),
        }
    }

    /// The bytes, unpacked; more than `largest` are given up.
    pub fn decode(&self, body: &Bytes, largest: usize) -> Result<Bytes, Failure> {
        match self {
            Self::Identity => Ok(body.clone()),
            Self::Gzip => read(MultiGzDecoder::new(&body[..]), largest),
            Self::Deflate => read(ZlibDecoder::new(&body[..]), largest),
            Self::Brotli => read(Decompressor::new(&body[..], BUFFER), largest),
            Self::Other(name) => Err((
                Fault::Malformed,
                format!(
                    "the answer is packed as `{name}`, which is not read; ask for none with --header 'Accept-Encoding: identity'"
                ),
            )),
        }
    }
}

/// Bytes of the buffer through which Brotli reads.
const BUFFER: usize = 4096;

fn read(packed: impl Read, largest: usize) -> Result<Bytes, Failure> {
    let mut plain = Vec::new();
    let limit = u64::try_from(largest).unwrap_or(u64::MAX).saturating_add(1);
    packed
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(|e| (Fault::Malformed, format!("the packed answer cannot be read: {e}")))?;
    if plain.len() > largest {
        return Err((
            Fault::TooLarge,
            format!("the unpacked answer has more than {largest} bytes"),
        ));
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use std::io::Write;

    const BROTLI: &[u8] =
        &[0x5b, 0x9f, 0x86, 0x81, 0x5f, 0x02, 0x2f, 0x1e, 0x0b, 0x04, 0xb2, 0xfc, 0x02, 0x00];

    #[test]
    fn what_is_packed_is_read_and_no_more_than_allowed() {
        let plain = vec![b'x'; 100_000];
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&plain).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&plain).unwrap();
        for (coding, packed) in [
            (Coding::named("GZIP"), gzip.finish().unwrap()),
            (Coding::named("deflate"), zlib.finish().unwrap()),
        ] {
            let packed = Bytes::from(packed);
            assert_eq!(coding.decode(&packed, 100_000).unwrap(), plain);
            assert_eq!(coding.decode(&packed, 99_999).unwrap_err().0, Fault::TooLarge);
            assert_eq!(coding.decode(&packed.slice(..20), 1000).unwrap_err().0, Fault::Malformed);
        }
        let other = Coding::named("zstd").decode(&Bytes::from_static(b"x"), 10).unwrap_err();
        assert!(other.1.contains("`zstd`"), "{}", other.1);
    }

    /// Made by `brotli.compress(b"x" * 100_000)` of Google's encoder, version 1.2.
    #[test]
    fn brotli_is_read_and_no_more_than_allowed() {
        let packed = Bytes::from_static(BROTLI);
        let br = Coding::named("BR");
        assert_eq!(br.decode(&packed, 100_000).unwrap(), vec![b'x'; 100_000]);
        assert_eq!(br.decode(&packed, 99_999).unwrap_err().0, Fault::TooLarge);
        assert_eq!(br.decode(&packed.slice(..5), 1000).unwrap_err().0, Fault::Malformed);
    }
}
