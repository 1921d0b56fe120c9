//! Timed starts of a server.

use super::{Side, Table};
use crate::schema::{PageCache, StartUpFile, StartUpPart};
use crate::units::si;
use std::fmt::Write;
use std::path::Path;

/// A file of starts, and the folder it was written to.
pub fn start_up(file: &StartUpFile, folder: &Path) -> String {
    let starts = start_up_part(&file.start_up);
    format!("{}\n{starts}\nstarts in {}/\n", file.target, folder.display())
}

/// The starts of a server, by state of the page cache.
pub fn start_up_part(part: &StartUpPart) -> String {
    let mut out = String::new();
    for state in [PageCache::Cold, PageCache::Warm] {
        let own = || part.starts.iter().filter(|s| s.counted && s.page_cache == state);
        let n = own().count();
        if n == 0 {
            continue;
        }
        let sure = own().filter(|s| s.unverified.is_none()).count();
        let how = if sure == n {
            "page cache verified".into()
        } else {
            let why = own().find_map(|s| s.unverified.as_deref()).unwrap_or_default();
            format!("page cache NOT VERIFIED in {} of them: {why}", n - sure)
        };
        let _ = writeln!(out, "\n{n} {state} starts; {how}");
        let head = [("", Side::Left), ("min", Side::Right), ("median", Side::Right)];
        let mut table =
            Table::new(head.into_iter().chain([("max", Side::Right), ("", Side::Left)]));
        for s in part.summary.iter().filter(|s| s.page_cache == state) {
            let show = |v: f64| si(v, s.unit.name());
            let of = if s.count < n as u64 { format!("of {}", s.count) } else { String::new() };
            table.row([s.name.clone(), show(s.min), show(s.median), show(s.max), of]);
        }
        table.write("  ", &mut out);
        if let Some(why) = own().find_map(|s| s.warm_unknown.as_deref()) {
            let _ = writeln!(out, "  time to warm UNMEASURED in a start: {why}");
        }
    }
    if !part.definitions.is_empty() && part.starts.iter().any(|s| s.counted) {
        out.push('\n');
        for d in &part.definitions {
            let _ = writeln!(out, "  {:<26}{}", d.name, d.meaning);
        }
    }
    for note in &part.notes {
        let _ = writeln!(out, "  note: {note}");
    }
    if part.interrupted {
        let _ = writeln!(out, "  interrupted");
    }
    out
}
