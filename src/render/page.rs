//! One page of a study: HTML that needs nothing beside it.
//!
//! Everything is in the file: the numbers as JSON, the script that evaluates their formulas, pictures for readers
//! without a script. Names from files are text wherever they stand; a policy in the page allows this script and this
//! style sheet alone, by their hashes, and no request to anywhere.

mod sections;

use crate::study::StudyFile;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What a page says beside the study.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The command that made it, as typed.
    pub command: String,
    /// The machine that it was made on.
    pub machine: String,
    /// The day, as `2026-11-25`; empty where not known.
    pub date: String,
}

const SKELETON: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const MODEL: &str = include_str!("page/model.js");
const SCRIPT: &str = include_str!("page/page.js");

/// Data from this size on are packed.
const PACKED: usize = 512 * 1024;

/// The page of a study.
pub fn page(study: &StudyFile, about: &About) -> String {
    let script = format!("{MODEL}{SCRIPT}");
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
        hash(&script),
        hash(STYLE)
    );
    let json = json(study);
    let data = match packed(&json) {
        Some(packed) => {
            format!("<script type=\"application/json\" id=\"study\" data-packed>{packed}</script>")
        }
        None => format!("<script type=\"application/json\" id=\"study\">{json}</script>"),
    };
    let slots: [(&str, String); 7] = [
        ("title", escaped(&sections::title(study))),
        ("policy", policy),
        ("style", STYLE.to_owned()),
        ("body", sections::body(study, about)),
        ("data", data),
        ("script", script),
        ("tool", escaped(&study.tool)),
    ];
    let mut page = String::new();
    for (at, part) in SKELETON.split("{{").enumerate() {
        let Some((name, rest)) = part.split_once("}}").filter(|_| at > 0) else {
            page.push_str(part);
            continue;
        };
        let found = slots.iter().find(|(slot, _)| *slot == name);
        page.push_str(found.map_or("", |(_, text)| text));
        page.push_str(rest);
    }
    page
}

/// A text by its hash, as a policy allows it.
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

/// JSON that ends no script element and is JavaScript too.
fn json(study: &StudyFile) -> String {
    let text = serde_json::to_string(study).unwrap_or_default();
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(safe, "\\u{:04x}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Large data as gzip in base64; none of small data.
fn packed(json: &str) -> Option<String> {
    use std::io::Write as _;
    if json.len() < PACKED {
        return None;
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(json.as_bytes()).ok()?;
    Some(STANDARD.encode(gzip.finish().ok()?))
}

/// A text as character data of HTML, also between quotes of either kind.
fn escaped(text: &str) -> String {
    crate::text::xml(text).replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::STUDY;

    fn empty() -> StudyFile {
        StudyFile {
            schema: STUDY.to_owned(),
            tool: "rooflens <b>".to_owned(),
            subjects: Vec::new(),
            devices: Vec::new(),
            runs: Vec::new(),
            cases: Vec::new(),
        }
    }

    #[test]
    fn a_page_allows_its_own_script_and_style_alone() {
        let page = page(
            &empty(),
            &About { command: "rooflens report '</script>'".into(), ..About::default() },
        );
        assert!(page.contains("default-src 'none'; script-src 'sha256-"));
        assert!(
            !page.contains("http://")
                || page.matches("http://").count()
                    == page.matches("http://www.w3.org/2000/svg").count()
        );
        assert!(
            !page.contains("https://") && !page.contains(" style=\"") && !page.contains(" onclick")
        );
        assert_eq!(page.matches("</script>").count(), 2, "the data and the script");
        assert!(page.contains("rooflens &lt;b&gt;") && !page.contains("{{"));
    }

    /// FIPS 180-4, appendix B, in the letters of RFC 4648.
    #[test]
    fn a_hash_is_that_of_the_standard() {
        assert_eq!(hash("abc"), "'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='");
    }

    #[test]
    fn data_end_no_element() {
        let mut study = empty();
        study.tool = "</script><!--\u{2028}&".into();
        let text = json(&study);
        assert!(!text.contains(['<', '>', '&', '\u{2028}']));
        let back: StudyFile = serde_json::from_str(&text).unwrap();
        assert_eq!(back, study);
    }
}
