//! Scenes are laid out without a text on another, inside, escaped, and the same each time.

use super::*;

fn kernels() -> KernelsPicture {
    let place = |label: &str, intensity: f64, rate: f64, bound: bool| Place {
        label: label.into(),
        intensity,
        rate,
        bound,
    };
    KernelsPicture {
        title: "a <model> & a device, f32".into(),
        subtitle: "memory 75 % · arithmetic 25 %".into(),
        peak: (15.7e12, "f32".into()),
        bandwidth: 900e9,
        places: vec![
            place("unfused", 3.6, 3.2e12, false),
            place("fused", 9.0, 7.7e12, false),
            place("at best", 43.0, 15.7e12, true),
        ],
        bars: (0..60)
            .map(|i| Bar {
                class: ["convolution", "pooling", "no class"][i % 3].into(),
                intensity: 0.1 * 1.15f64.powi(i32::try_from(i).unwrap()),
                share: 1.0 / 60.0,
            })
            .collect(),
        shares: [0.75, 0.25, 0.0],
        measured: vec![("measured".into(), 9.0, 1e11, true)],
    }
}

fn models(count: usize) -> ModelsPicture {
    ModelsPicture {
        title: format!("{count} models on a device"),
        subtitle: "full f32, open f16".into(),
        bandwidth: 900e9,
        roofs: vec![
            RoofOf { label: "f32".into(), peak: 15.7e12 },
            RoofOf { label: "f16".into(), peak: 125e12 },
        ],
        columns: vec!["GFLOP".into(), "memory\nf32".into()],
        rows: (0..count)
            .map(|i| {
                let x = 3.0 + 5.0 * i as f64;
                ModelRow {
                    name: format!("<script>{}", "name ".repeat(i)),
                    marks: vec![
                        Some((x, (x * 9e11).min(15.7e12))),
                        Some((2.0 * x, (x * 1.8e12).min(125e12))),
                    ],
                    measured: Some((x, 1e11)),
                    cells: vec!["0.63".into(), "75 %".into()],
                }
            })
            .collect(),
        notes: vec!["a mark below the roof: other kernels, other bounds".into()],
    }
}

fn devices(count: usize) -> DevicesPicture {
    let row = |i: usize| DeviceRow {
        name: format!("device {i}"),
        at_best: 1e-5 * (i + 1) as f64,
        fused: 3e-5 * (i + 1) as f64,
        unfused: 5e-5 * (i + 1) as f64,
        estimate: Some((6e-5, 9e-5, 2e-4)),
        measured: Some(1e-4),
        binds: "memory 75 %".into(),
    };
    DevicesPicture {
        title: "a model".into(),
        subtitle: "f32".into(),
        rows: (0..count).map(row).collect(),
        demand: Some(1e-3),
    }
}

fn all() -> Vec<Scene> {
    let point = |batch: f64| BatchPoint { batch, seconds: 1e-3 * batch.sqrt(), memory: 0.6 };
    let batch = BatchPicture {
        title: "by batch".into(),
        subtitle: "f32".into(),
        points: [1.0, 2.0, 4.0, 8.0, 16.0].map(point).to_vec(),
        critical: Some(5.0),
        full: Some(12.0),
    };
    let row = |at: f64| LatencyRow {
        name: format!("run {at}"),
        points: [0.5, 0.9, 0.99].map(|q| (q, at * (1.0 + q), Some((at * q, at * 3.0)))).to_vec(),
    };
    let latency = LatencyPicture {
        title: "latency".into(),
        subtitle: "poisson:100".into(),
        rows: vec![row(0.01), row(0.02)],
        objective: Some((0.99, 0.05)),
    };
    let load = |offered: f64| LoadPoint {
        offered,
        goodput: offered.min(300.0),
        p50: Some(0.01),
        p99: Some(0.02 + offered / 1e4),
        verdict: (offered > 300.0).then(|| "OVERLOADED".to_owned()),
    };
    let load = LoadPicture {
        title: "load".into(),
        subtitle: "a server".into(),
        points: [50.0, 100.0, 400.0].map(load).to_vec(),
    };
    let mut scenes = vec![kernels().scene(), batch.scene(), latency.scene(), load.scene()];
    scenes.extend([1, 2, 5, 10].map(|n| models(n).scene()));
    scenes.extend([1, 2, 4].map(|n| devices(n).scene()));
    scenes
}

/// Texts that stand on another, or leave the picture.
#[allow(clippy::type_complexity)]
fn faults(scene: &Scene) -> Vec<String> {
    let upright: Vec<(&str, (f64, f64, f64, f64))> = scene
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Text { at, text, size, align, angle, .. } if *angle == 0.0 => {
                // Boxes by an upper estimate of the width: a tenth is air.
                let (l, t, r, b) = covers(*at, text, *size, *align);
                let air = 0.05 * (r - l);
                Some((text.as_str(), (l + air, t + 0.15 * size, r - air, b - 0.1 * size)))
            }
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    for (i, (text, own)) in upright.iter().enumerate() {
        if own.0 < 0.0 || own.1 < 0.0 || own.2 > scene.size.0 || own.3 > scene.size.1 {
            found.push(format!("{}: `{text}` leaves the picture", scene.title));
        }
        for (other, theirs) in &upright[i + 1..] {
            if !apart(*own, *theirs) {
                found.push(format!("{}: `{text}` is on `{other}`", scene.title));
            }
        }
    }
    found
}

#[test]
fn no_text_stands_on_another_or_outside() {
    let found: Vec<String> = all().iter().flat_map(faults).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn marks_are_inside_and_have_a_text() {
    for scene in all() {
        for item in &scene.items {
            if let Item::Mark { at: (x, y), title, .. } = item {
                assert!(x.is_finite() && y.is_finite() && !title.is_empty(), "{}", scene.title);
                assert!(
                    (0.0..=scene.size.0).contains(x) && (0.0..=scene.size.1).contains(y),
                    "{} {x} {y}",
                    scene.title
                );
            }
        }
    }
}

#[test]
fn names_are_escaped_and_pictures_are_the_same_each_time() {
    for (a, b) in all().iter().zip(all()) {
        for theme in [Theme::Both, Theme::Light, Theme::Dark, Theme::Page] {
            let svg = a.svg(theme);
            assert_eq!(svg, b.svg(theme));
            assert!(
                !svg.contains("<script")
                    && svg.contains("role=\"img\"")
                    && svg.ends_with("</svg>\n")
            );
        }
    }
}

/// Two pictures of one device lie on each other: the axes follow the device, not the model.
#[test]
fn axes_follow_the_device() {
    let (a, mut other) = (kernels(), kernels());
    other.places.truncate(1);
    other.bars.truncate(3);
    let roof = |scene: &Scene| {
        scene.items.iter().find_map(|item| match item {
            Item::Line { points, width, .. } if (*width - 3.0).abs() < 1e-9 => {
                Some(format!("{points:.1?}"))
            }
            _ => None,
        })
    };
    assert_eq!(roof(&a.scene()), roof(&other.scene()));
}

/// A share that no kernel has is in no bar, and shares add up to the whole.
#[test]
fn bars_hold_the_whole_time() {
    let picture = kernels();
    let scene = picture.scene();
    let (mut height, mut most) = (0.0, 0.0f64);
    for item in &scene.items {
        if let Item::Area { points, title, .. } = item {
            if title.ends_with("of the time") {
                height += points[2].1 - points[0].1;
                most = most.max(points[2].1 - points[0].1);
            }
        }
    }
    // The highest bar is 163 pixels and has a share of its bin.
    let shares: f64 = picture.bars.iter().map(|b| b.share).sum();
    assert!((shares - 1.0).abs() < 1e-9 && height > most && most > 0.0);
}
