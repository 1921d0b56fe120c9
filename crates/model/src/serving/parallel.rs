//! Figures on several devices that share a model.

use super::counts::Experts;
use super::device::Place;
use super::figure::{Figure, FigureGroup, FigureName, Limit, Says, Unit};
use crate::hwdb::Direction;

/// Ways to share the model, where there are devices to share it.
pub(super) fn groups(place: &Place<'_>) -> Vec<FigureGroup> {
    let n = place.setting.devices;
    if n < 2 {
        return Vec::new();
    }
    let group = |title: String, figures| FigureGroup { title, figures };
    let mut all = vec![
        group(format!("{n} devices, tensor parallel"), tensor(place)),
        group(format!("{n} devices, pipeline parallel"), pipeline(place)),
    ];
    if place.counts.mixture().is_some() {
        all.push(group(format!("{n} devices, expert parallel"), experts(place)));
    }
    all
}

/// The link between devices, bytes per second each way.
fn link(place: &Place<'_>) -> Option<f64> {
    let listed = place.device.links.iter().map(|link| {
        let each_way = if link.direction == Direction::OneWay { 1.0 } else { 0.5 };
        link.bandwidth_gb_s * 1e9 * each_way
    });
    place.setting.link_bytes_per_second.or(listed.reduce(f64::max))
}

/// Time on the links, and what is said where their rate is not known.
fn link_time(place: &Place<'_>, bytes: f64, messages: f64) -> Figure {
    let seconds = link(place).map(|rate| bytes / rate + messages * place.setting.link_seconds);
    let note =
        if seconds.is_none() { "the link of the device is not known: give --link" } else { "" };
    Figure::new(
        FigureName::LinkTime,
        Says::AtLeast,
        seconds,
        Unit::Seconds,
        "link bytes / λ + messages · ℓ",
    )
    .noted(note)
}

/// Sequences that fit where a device holds a part of the weights and of each cache.
fn fits(place: &Place<'_>, cache_share: f64, formula: &str) -> Figure {
    let n = place.setting.devices as f64;
    let own = place.fixed() - place.counts.weights();
    let free = place.usable().map(|usable| usable - place.counts.weights() / n - own);
    let each = place.sequence(place.setting.context) * cache_share;
    let fits = free.and_then(|free| Place::fits(free, each));
    let note = match free {
        None => "the device's memory is not known",
        Some(free) if free < 0.0 => "a device's part of the weights does not fit",
        Some(_) => "",
    };
    Figure::new(FigureName::Fits, Says::AtMost, fits, Unit::Sequences, formula).noted(note)
}

/// The times of a step whose parts pass together, the links among them.
fn together(place: &Place<'_>, compute: f64, memory: f64, links: &Figure) -> [Figure; 2] {
    let batch = place.setting.concurrency.max(1) as f64;
    let mut longest = (compute, Limit::Compute);
    for (seconds, limit) in [(memory, Limit::Memory), (links.value.unwrap_or(0.0), Limit::Links)] {
        if seconds > longest.0 {
            longest = (seconds, limit);
        }
    }
    let (seconds, limit) = longest;
    [
        Figure::new(
            FigureName::Tpot,
            Says::AtLeast,
            seconds,
            Unit::Seconds,
            "max(F/(n·π), Q of a device/β, link time): whatever overlaps",
        )
        .bound_by(limit),
        Figure::new(
            FigureName::Tokens,
            Says::AtMost,
            batch / seconds,
            Unit::TokensPerSecond,
            "B / TPOT",
        )
        .bound_by(limit),
    ]
}

/// Each matrix is split over all devices.
fn tensor(place: &Place<'_>) -> Vec<Figure> {
    let n = place.setting.devices as f64;
    let (counts, shape) = (place.counts, place.counts.shape());
    let batch = place.setting.concurrency.max(1);
    // Heads are split as far as there are heads; latent vectors and states are copied.
    let share = shape.kept_heads.map_or(1.0, |heads| (1.0 / n).max(1.0 / heads as f64));
    let formula = "⌊(u·M − W/n − A − O) / (K·max(1/n, 1/heads))⌋; latent vectors are copied";
    let mut all = vec![fits(place, share, formula)];
    let volume = batch as f64 * shape.hidden * shape.bytes;
    let sums = shape.layers as f64 * shape.sums;
    let bytes = sums * 2.0 * (n - 1.0) / n * volume;
    all.push(
        Figure::new(
            FigureName::LinkBytes,
            Says::AtLeast,
            bytes,
            Unit::Bytes,
            "L·s·2·(n − 1)/n·B·h·b: s sums over devices in each of L layers",
        )
        .noted(format!(
            "{} layers of width {}, {} sums each",
            shape.layers, shape.hidden, shape.sums
        )),
    );
    let links = link_time(place, bytes, sums * 2.0 * (n - 1.0));
    let step = place.decode(batch);
    let cache = counts.cache(place.setting.context) * batch as f64;
    let moved = counts.bytes(step, Experts::Fewest);
    let memory = ((moved - cache).max(0.0) / n + cache * share) / place.roof.bandwidth.get();
    let compute = place.operations(step) / n / place.roof.peak.get();
    let times = together(place, compute, memory, &links);
    all.push(links);
    all.extend(times);
    all
}

/// Each device has some of the layers.
fn pipeline(place: &Place<'_>) -> Vec<Figure> {
    let n = place.setting.devices as f64;
    let shape = place.counts.shape();
    let batch = place.setting.concurrency.max(1);
    let mut all = vec![fits(place, 1.0 / n, "⌊(u·M − W/n − A − O) / (K/n)⌋")];
    let bytes = batch as f64 * shape.hidden * shape.bytes;
    all.push(Figure::new(
        FigureName::LinkBytes,
        Says::AtLeast,
        bytes,
        Unit::Bytes,
        "B·h·b over each of n − 1 boundaries",
    ));
    let links = link_time(place, bytes, 1.0);
    let step = place.step(place.decode(batch), Experts::Fewest);
    let between = (n - 1.0) * links.value.unwrap_or(0.0);
    all.push(links);
    all.push(
        Figure::new(
            FigureName::Latency,
            Says::AtLeast,
            step.seconds + between,
            Unit::Seconds,
            "TPOT of one device + (n − 1)·link time: a token passes all stages",
        )
        .bound_by(step.binds),
    );
    all.push(
        Figure::new(
            FigureName::Tokens,
            Says::AtMost,
            n * batch as f64 / step.seconds,
            Unit::TokensPerSecond,
            "n·B / TPOT of one device, with n batches of B sequences in flight",
        )
        .bound_by(step.binds),
    );
    all.push(Figure::new(
        FigureName::Bubble,
        Says::AtLeast,
        (n - 1.0) / (2.0 * n - 1.0),
        Unit::Share,
        "(n − 1)/(m + n − 1) while m = n batches fill and drain the stages",
    ));
    all
}

/// Each device has some of the experts, and all of the rest.
fn experts(place: &Place<'_>) -> Vec<Figure> {
    let Some(mixture) = place.counts.mixture() else { return Vec::new() };
    let n = place.setting.devices as f64;
    let shape = place.counts.shape();
    let batch = place.setting.concurrency.max(1) as f64;
    let each = batch * shape.hidden * shape.bytes * mixture.chosen * mixture.layers;
    let bytes = 2.0 * each * (n - 1.0) / n / n;
    vec![
        Figure::new(
            FigureName::LinkBytes,
            Says::Expected,
            bytes,
            Unit::Bytes,
            "2·B·k·h·b·(n − 1)/n over all devices and layers with experts, by n links",
        )
        .noted(format!(
            "{} layers, {} experts a token, under uniform routing; the busiest device takes longest",
            mixture.layers, mixture.chosen
        )),
        Figure { says: Says::Expected, ..link_time(place, bytes, 2.0 * mixture.layers) },
    ]
}
